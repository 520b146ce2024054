//! Whether an answer is whole.
//!
//! The SDK reads XML that is cut off, or damaged in the middle, as if the rest had never been there. A list that ends in the middle would then be a shorter
//! list, and what is on its second half would count as absent.

use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef};
use aws_smithy_runtime_api::box_error::BoxError;
use roxmltree::Document;

/// Refuses a successful answer that is no whole document.
#[derive(Debug)]
pub(crate) struct Whole;

impl Intercept for Whole {
    fn name(&self) -> &'static str {
        "Whole"
    }
    fn read_after_deserialization(&self, context: &AfterDeserializationInterceptorContextRef<'_>, _: &RuntimeComponents, _: &mut ConfigBag) -> Result<(), BoxError> {
        let answer = context.response();
        // Some of Route 53 say nothing, and say so before it: "Empty response for the request" is what its model has of ChangeTagsForResource.
        let says_nothing = answer.headers().get("content-length") == Some("0");
        match answer.body().bytes() {
            Some(body) if answer.status().is_success() && !says_nothing && !is_whole(&String::from_utf8_lossy(body)) => Err("the answer is cut off or damaged".into()),
            _ => Ok(()),
        }
    }
}

/// Is it one document, each of whose elements is closed?
fn is_whole(document: &str) -> bool {
    Document::parse(document.trim()).is_ok()
}
/// Code and message of a refusal that is no `ErrorResponse`, the only form that the SDK reads: Route 53 also answers `<InvalidChangeBatch>` with
/// its messages (<https://docs.aws.amazon.com/Route53/latest/APIReference/API_ChangeResourceRecordSets.html>).
pub(crate) fn bare_refusal(document: &str) -> Option<(String, String)> {
    let document = Document::parse(document.trim()).ok()?;
    let root = document.root_element();
    let code = root.tag_name().name();
    let messages = root.descendants().filter(|n| n.tag_name().name().eq_ignore_ascii_case("message")).filter_map(|n| n.text());
    // A gateway's is HTML.
    if matches!(code, "ErrorResponse" | "Response") || !code.starts_with(|c: char| c.is_ascii_uppercase()) {
        None
    } else {
        Some((code.to_owned(), messages.collect::<Vec<_>>().join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cut_is_seen() {
        let whole = "<?xml version=\"1.0\"?>\n<DescribeVpcsResponse xmlns=\"x\"><vpcSet><item><a/></item></vpcSet></DescribeVpcsResponse>";
        assert!(is_whole(whole) && is_whole(&format!("{whole}\n")) && is_whole("<A/>") && is_whole("<A></A>"));
        for end in 0..whole.len() {
            assert!(!is_whole(&whole[..end]), "{}", &whole[..end]);
        }
    }
    #[test]
    fn damage_in_the_middle_is_seen() {
        for damaged in ["<A><b>1</b><c></A>", "<A><vpcSet><item></vpcSet></item></A>", "<A><vpc\0et/></A>", "<A>&nothing;</A>", "<A/><B/>", "<A><b</A>", "not XML", ""] {
            assert!(!is_whole(damaged), "{damaged}");
        }
    }
    #[test]
    fn a_refusal_of_another_form_is_read() {
        let batch = r#"<?xml version="1.0"?><InvalidChangeBatch xmlns="x"><Messages><Message>Tried to create it</Message><Message>and that</Message></Messages><RequestId>r</RequestId></InvalidChangeBatch>"#;
        assert_eq!(bare_refusal(batch), Some(("InvalidChangeBatch".into(), "Tried to create it; and that".into())));
        for other in ["<ErrorResponse><Error><Code>A</Code></Error></ErrorResponse>", "<Response><Errors/></Response>", "gateway time-out", "<html><p>504</p></html>"] {
            assert_eq!(bare_refusal(other), None, "{other}");
        }
    }
}
