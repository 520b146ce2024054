//! What an instance has last written on its console.
//!
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_GetConsoleOutput.html>: the newest 64 KB in base64, as EC2 has noted them shortly after
//! the last start, stop, reboot or termination, for at least an hour. Without `Latest`, which only instances on Nitro know.

use crate::{
    client::Region,
    step::{answered, unix_ms},
};
use aws_sdk_ec2::operation::get_console_output::GetConsoleOutputOutput;
use aws_smithy_types::base64;
use welkin_core::{ConsoleOutput, Cx, Result};

pub(super) async fn output(region: &Region, cx: &Cx, id: &str) -> Result<ConsoleOutput> {
    decoded(&region.ec2.read(cx, "GetConsoleOutput", region.ec2.get_console_output().instance_id(id).send()).await?)
}

fn decoded(answer: &GetConsoleOutputOutput) -> Result<ConsoleOutput> {
    // It comes in lines, as in the page's example.
    let encoded: String = answer.output().unwrap_or_default().split_ascii_whitespace().collect();
    let bytes = answered(base64::decode(encoded).ok(), "readable Output")?;
    let time_ms = unix_ms(answer.timestamp());
    // Machines write bytes; what is no text of them is replaced.
    Ok(ConsoleOutput::newest(&String::from_utf8_lossy(&bytes), time_ms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::primitives::DateTime;

    fn answer(output: Option<&str>) -> GetConsoleOutputOutput {
        GetConsoleOutputOutput::builder().instance_id("i-0").timestamp(DateTime::from_secs(5)).set_output(output.map(Into::into)).build()
    }
    #[test]
    fn what_was_written_is_told_whatever_it_is() {
        for (output, text) in [(None, ""), (Some(""), ""), (Some("bG9n\r\naW46\n IA==\n"), "login: "), (Some("/2xvZw=="), "\u{fffd}log")] {
            let told = decoded(&answer(output)).unwrap();
            assert_eq!((told.text.expose(), told.time_ms), (text, Some(5000)), "{output:?}");
        }
        let long = base64::encode("x".repeat(ConsoleOutput::MAX_BYTES + 1));
        assert_eq!(decoded(&answer(Some(&long))).unwrap().text.expose().len(), ConsoleOutput::MAX_BYTES);
    }
    #[test]
    fn what_cannot_be_read_is_not_told() {
        let e = decoded(&answer(Some("hunter2-"))).unwrap_err();
        assert!(e.reason() == welkin_core::Reason::CloudAnswer && !format!("{e:?}").contains("hunter2"), "{e:?}");
    }
}
