//! Whether an answer is whole.
//!
//! The SDK reads XML that is cut off as if the rest had never been there. A list that ends in the middle would then be a shorter list, and what is
//! on its second half would count as absent.

use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents, interceptors::AfterDeserializationInterceptorContextRef};
use aws_smithy_runtime_api::box_error::BoxError;

/// Refuses a successful answer whose document does not end.
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
            Some(body) if answer.status().is_success() && !says_nothing && !is_whole(&String::from_utf8_lossy(body)) => Err("the answer is cut off".into()),
            _ => Ok(()),
        }
    }
}

/// Is the root element closed at the end?
fn is_whole(document: &str) -> bool {
    let document = document.trim();
    let body = match document.strip_prefix("<?") {
        Some(rest) => rest.split_once("?>").map_or("", |(_, body)| body.trim_start()),
        None => document,
    };
    let root = body.strip_prefix('<').and_then(|rest| rest.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next());
    root.is_some_and(|root| !root.is_empty() && (body.ends_with(&format!("</{root}>")) || (body.ends_with("/>") && body.matches('<').count() == 1)))
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
}
