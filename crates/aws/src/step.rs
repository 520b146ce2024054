//! What the steps of all kinds share: how long to wait, and what a look-up after an unresolved write may conclude.

use aws_smithy_types::DateTime;
use std::time::{Duration, SystemTime};
use welkin_core::{Effect, Error, ErrorKind, Reason, Result, Resume, Retry, Step, VendorId, unix_millis};

/// The first and the longest wait between two looks at something that takes its time.
pub(crate) const PACE: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// Wall-clock milliseconds: steps survive a restart, so they cannot use a monotonic clock.
pub(crate) fn now_ms() -> u64 {
    unix_millis(SystemTime::now())
}
/// A time of an answer, in milliseconds since 1970.
pub(crate) fn unix_ms(at: Option<&DateTime>) -> Option<u64> {
    at?.to_millis().ok()?.try_into().ok()
}
pub(crate) fn age(since_ms: u64) -> Duration {
    Duration::from_millis(now_ms().saturating_sub(since_ms))
}
/// When the last write left that no handle accounts for; 0 where there is none. From then on reads may lag once more.
pub(crate) fn unresolved_ms(resume: &Resume) -> u64 {
    resume.unresolved.map_or(0, |at| now_ms().saturating_sub(u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX)))
}
/// Looks often at first and then, as AWS asks, at longer and longer intervals.
pub(crate) fn pace(since_ms: u64) -> Duration {
    (age(since_ms) / 4).clamp(PACE.0, PACE.1)
}

/// May something be written that a look-up did not find?
pub(crate) enum Look<T> {
    /// It is there.
    Found(T),
    /// Nothing was written before, or it would be visible by now.
    Write,
    /// It may still show up.
    Wait(Duration),
}
/// Looks for what an unresolved write may have made, and judges. What counts is whether the horizon had passed when the look began: a slow answer
/// shows how things were before it.
pub(crate) async fn look<T>(resume: &Resume, horizon: Duration, find: impl Future<Output = Result<Option<T>>> + Send) -> Result<Look<T>> {
    let Some(since) = resume.unresolved else { return Ok(Look::Write) };
    let is_past = resume.is_past(horizon);
    Ok(match find.await? {
        Some(found) => Look::Found(found),
        None if is_past => Look::Write,
        None => Look::Wait((since.elapsed() / 4).clamp(PACE.0, PACE.1).min(horizon.saturating_sub(since.elapsed()))),
    })
}
/// A write of unknown fate may still show up.
pub(crate) fn look_again<T>(after: Duration, what: &str) -> Step<T> {
    Step::look_again(after, format!("looking whether the {what} was made"))
}

/// A required part of an answer.
pub(crate) fn answered<T>(part: Option<T>, what: &str) -> Result<T> {
    let missing = || Error::new(ErrorKind::Unavailable, Reason::CloudAnswer, format!("AWS's answer has no {what}")).with_retry(Retry::After(PACE.0));
    part.ok_or_else(missing)
}
/// The id of what a write has made. Without it the write is of unknown fate.
pub(crate) fn made_id(id: Option<&str>, what: &str) -> Result<String> {
    vendor_id(id, what).map(|id| id.to_string()).map_err(|e| e.with_effect(Effect::Unknown))
}
/// An id of an answer. One that is empty, or none at all, is as good as missing.
pub(crate) fn vendor_id(id: Option<&str>, what: &str) -> Result<VendorId> {
    answered(id.and_then(|id| id.parse().ok()), what)
}
/// EC2 sends an empty element for some of what is not there.
pub(crate) fn told(text: Option<&str>) -> Option<&str> {
    text.filter(|t| !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_text_of_an_answer_is_none() {
        assert_eq!((told(Some("")), told(None), told(Some("a"))), (None, None, Some("a")));
        for id in [None, Some(""), Some("a\nb")] {
            let e = vendor_id(id, "VpcId").unwrap_err();
            assert_eq!((e.kind(), e.reason(), e.message().contains("VpcId")), (ErrorKind::Unavailable, Reason::CloudAnswer, true), "{e}");
        }
        assert_eq!(made_id(Some(""), "VpcId").unwrap_err().effect(), Effect::Unknown);
    }
    #[test]
    fn waits_grow() {
        assert_eq!((pace(now_ms()), pace(0)), (PACE.0, PACE.1));
    }
    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_again_before_the_horizon() {
        let horizon = Duration::from_secs(60);
        let resume = Resume { unresolved: Some(tokio::time::Instant::now()), ..Resume::default() };
        let judged = async |found: Option<u8>, takes: u64| {
            let find = async {
                tokio::time::sleep(Duration::from_secs(takes)).await;
                Ok(found)
            };
            look(&resume, horizon, find).await.unwrap()
        };
        assert!(matches!(judged(Some(1), 0).await, Look::Found(1)));
        assert!(matches!(judged(None, 0).await, Look::Wait(_)));
        tokio::time::advance(Duration::from_secs(58)).await;
        assert!(matches!(judged(None, 1).await, Look::Wait(d) if d <= Duration::from_secs(1)));
        // Begun before and answered after.
        assert!(matches!(judged(None, 2).await, Look::Wait(Duration::ZERO)));
        assert!(matches!(judged(None, 0).await, Look::Write));
        let resolved = Resume::default();
        assert!(matches!(look::<u8>(&resolved, horizon, async { panic!("nothing is looked for") }).await.unwrap(), Look::Write));
    }
}
