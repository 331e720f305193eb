//! What is said over a broker.

use mediaflow_core::{AssetId, Queue, TaskId};
use uuid::Uuid;

/// Something became ready. It is a hint: by the time it is heard the task may be taken, done or gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ring {
    /// Where the task waits.
    pub queue: Queue,
    /// Its lane: 0 is the most urgent, 9 waits until nothing else does.
    pub lane: u8,
    /// Whose task; brokers that keep an order keep it for each asset.
    pub asset: AssetId,
    /// Which task.
    pub task: TaskId,
}

const FORMAT: &str = "mf1";

impl Ring {
    /// One line of ASCII: format, queue, lane, asset and task. A later format has another first word.
    pub(crate) fn to_line(self) -> String {
        let Self {
            queue,
            lane,
            asset,
            task,
        } = self;
        format!("{FORMAT} {} {lane} {} {}", queue.as_str(), asset.0, task.0)
    }

    /// What [`Ring::to_line`] wrote. Anything else is nothing: words may be added at the end.
    pub(crate) fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        if words.next()? != FORMAT {
            return None;
        }
        Some(Self {
            queue: Queue::parse(words.next()?)?,
            lane: words.next()?.parse().ok()?,
            asset: AssetId(Uuid::try_parse(words.next()?).ok()?),
            task: TaskId(Uuid::try_parse(words.next()?).ok()?),
        })
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::from_line(std::str::from_utf8(bytes).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_survives_the_way_and_nothing_else_is_taken_for_one() {
        let ring = Ring {
            queue: Queue::Video,
            lane: 9,
            asset: AssetId(Uuid::from_u128(1)),
            task: TaskId(Uuid::from_u128(2)),
        };
        let line = ring.to_line();
        assert_eq!(Ring::from_line(&line), Some(ring));
        assert_eq!(Ring::from_line(&format!("{line} later")), Some(ring));
        for other in [
            "",
            "mf1",
            "mf2 image 0 x y",
            "{\"queue\":\"image\"}",
            "mf1 image 0 x y",
        ] {
            assert_eq!(Ring::from_line(other), None, "{other}");
        }
        assert_eq!(Ring::from_bytes(&[0xff, 0xfe]), None);
    }
}
