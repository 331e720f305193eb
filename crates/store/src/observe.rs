//! What a process may see of its stores' work: how long each verb took, how it failed, and which events were recorded.
//! It knows no metric.

use crate::StoreError;
use mediaflow_core::{AssetId, ErrorCode, EventType};
use std::future::Future;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// An event that is in an asset's history now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// What happened.
    pub kind: EventType,
    /// To which asset.
    pub asset: AssetId,
    /// In which of its runs.
    pub generation: u32,
}

/// Who is told of it. Its functions are called in the middle of the work, and must do little.
pub trait Observe: Send + Sync {
    /// A verb was answered; `failed` is the code of what it answered, where it did nothing.
    fn verb(&self, name: &'static str, took: Duration, failed: Option<ErrorCode>);
    /// An event was committed.
    fn recorded(&self, event: Recorded);
}

static OBSERVER: OnceLock<Box<dyn Observe>> = OnceLock::new();

/// From now on this process's stores tell `observer`. The first one stays.
pub fn observe(observer: impl Observe + 'static) {
    let _ = OBSERVER.set(Box::new(observer));
}

/// Does a verb's work, and tells how it went. `closure` is the name of the type of the closure that has the work, which is
/// in the function of that verb: so a new verb is observed without anybody thinking of it.
pub(crate) async fn timed<T>(
    closure: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let Some(observer) = OBSERVER.get() else {
        return work.await;
    };
    let began = Instant::now();
    let answer = work.await;
    let failed = answer.as_ref().err().map(StoreError::code);
    observer.verb(function(closure), began.elapsed(), failed);
    answer
}

/// Events were committed.
pub(crate) fn committed(events: &[Recorded]) {
    if let Some(observer) = OBSERVER.get() {
        events.iter().for_each(|event| observer.recorded(*event));
    }
}

/// The function that a closure is in: the last name outside of all angle brackets.
fn function(closure: &'static str) -> &'static str {
    let path = closure.trim_end_matches("::{{closure}}");
    let (mut depth, mut start, mut end) = (0_u32, 0, path.len());
    for (at, letter) in path.char_indices() {
        match letter {
            '<' => {
                end = if depth == 0 { at } else { end };
                depth += 1;
            }
            '>' if !path[..at].ends_with('-') => depth = depth.saturating_sub(1),
            ':' if depth == 0 => (start, end) = (at + 1, path.len()),
            _ => {}
        }
    }
    path.get(start..end).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name_of_val;

    trait Verb {
        fn claim(&self) -> impl Future<Output = &'static str>;
    }

    struct Place<T>(T);

    impl<T: Sync> Verb for Place<T> {
        async fn claim(&self) -> &'static str {
            let inner = || type_name_of_val(&|| 1);
            inner()
        }
    }

    fn look<T>(_: T) -> &'static str {
        type_name_of_val(&|| 1)
    }

    fn plain() {}

    #[test]
    fn a_verb_has_the_name_of_the_function_that_has_its_closure() {
        let place = Place(vec![1]);
        let claim = std::pin::pin!(place.claim());
        let mut nobody = std::task::Context::from_waker(std::task::Waker::noop());
        let std::task::Poll::Ready(claim) = claim.poll(&mut nobody) else {
            panic!("there is nothing to wait for");
        };
        assert_eq!(function(claim), "claim", "{claim}");
        assert_eq!(function(look(vec![1])), "look");
        let closure: fn() -> Vec<u8> = Vec::new;
        assert_eq!(function(look(closure)), "look");
        assert_eq!(function(type_name_of_val(&plain)), "plain");
        assert_eq!(function("report"), "report");
    }
}
