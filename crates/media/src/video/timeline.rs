//! When each packet is shown or heard, counted rather than believed.

use serde::{Deserialize, Serialize};

use super::Ratio;

/// When pictures are shown, in ticks of the stream's time base.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VideoTimeline {
    /// When the first picture is shown; may be negative.
    pub first_pts: i64,
    /// When the last picture stops being shown.
    pub end_pts: i64,
    /// How many pictures there are.
    pub frames: u64,
    /// Whether all pictures are shown equally long, but for the rounding of the time base.
    pub constant_rate: bool,
    /// When the pictures are shown at which decoding can start; of more than 65,536 only some, evenly spread.
    pub key_pts: Vec<i64>,
    /// How the packets lie, where the rate is constant.
    #[serde(default)]
    pub layout: Option<PacketLayout>,
}

/// What matters to who takes packets as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketLayout {
    /// Whether all that is stored before a key picture is shown before it, and all that is stored
    /// after it is shown after it: the film can be cut there.
    pub is_closed: bool,
    /// For how many pictures one is stored ahead of its turn at most.
    pub reordered: u32,
    /// Most bits in any second.
    pub bit_rate_peak: u64,
}

/// When samples are heard, in ticks of the stream's time base.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AudioTimeline {
    /// When the first packet is heard; may be negative.
    pub first_pts: i64,
    /// When the last packet ends.
    pub end_pts: i64,
    /// How many packets there are.
    pub packets: u64,
    /// Samples per packet, where all have the same number and follow each other without a gap.
    /// Then packet times are exact even where the container rounds them.
    pub packet_samples: Option<u32>,
    /// Samples at the beginning of the first packet that decoders drop: what an encoder needed to get into its stride.
    #[serde(default)]
    pub lead_samples: u32,
    /// Samples at the end of the last packet that decoders drop.
    #[serde(default)]
    pub tail_samples: u32,
}

/// A thousand years of nanoseconds, in ticks.
const TIME_MAX: u64 = 1 << 55;

/// One packet of ffprobe's list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) pts: Option<i64>,
    pub(super) dts: Option<i64>,
    pub(super) duration: i64,
    pub(super) bytes: u64,
    pub(super) is_key: bool,
    /// Samples at its beginning and at its end that are decoded and not heard.
    pub(super) unheard: (u32, u32),
}

/// The packets of one stream, gathered as they come.
#[derive(Debug, Default)]
pub(super) struct Packets {
    times: Vec<i64>,
    sizes: Vec<u32>,
    /// Positions in `times`.
    keys: Vec<usize>,
    end: i64,
    last_duration: i64,
    unheard: (u32, u32),
    pub(super) bytes: u64,
}

impl Packets {
    pub(super) fn add(&mut self, packet: &Packet) {
        self.bytes += packet.bytes;
        // Times beyond this are nonsense, and sums of them would not fit.
        let Some(time) = packet
            .pts
            .or(packet.dts)
            .filter(|t| t.abs_diff(0) < TIME_MAX)
        else {
            return;
        };
        if self.times.is_empty() {
            self.unheard.0 = packet.unheard.0;
        }
        self.unheard.1 = packet.unheard.1;
        if packet.is_key {
            self.keys.push(self.times.len());
        }
        self.times.push(time);
        self.sizes
            .push(u32::try_from(packet.bytes).unwrap_or(u32::MAX));
        let end = time + packet.duration.clamp(0, TIME_MAX as i64);
        if self.times.len() == 1 || end >= self.end {
            self.end = end;
            self.last_duration = packet.duration;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Ticks from the first packet in the file to the latest end.
    pub(super) fn span(&self) -> i64 {
        self.times
            .first()
            .map_or(0, |first| self.end.saturating_sub(*first))
    }

    /// The timeline and the frame rate; `hints` are the rates that ffprobe suggests.
    pub(super) fn video(mut self, time_base: Ratio, hints: &[Ratio]) -> (VideoTimeline, Ratio) {
        let mut key_pts: Vec<i64> = self.keys.iter().map(|&key| self.times[key]).collect();
        key_pts.sort_unstable();
        let mut stored = self.times.clone();
        self.times.sort_unstable();
        let first_pts = self.times.first().copied().unwrap_or(0);
        let frames = self.times.len() as u64;
        let constant_rate = is_constant(&self.times);
        if !constant_rate {
            // What is not needed is not held: a file may have millions of packets.
            stored = Vec::new();
        }
        let usual = self.usual_step();
        let rate = self.rate(time_base, hints, constant_rate, usual);
        let layout = constant_rate.then(|| self.layout(&stored, rate));
        let mut end_pts = self.end;
        if self.last_duration <= 0 {
            end_pts += usual.round() as i64;
        }
        thin(&mut key_pts);
        let timeline = VideoTimeline {
            first_pts,
            end_pts: end_pts.max(first_pts + 1),
            frames,
            constant_rate,
            key_pts,
            layout,
        };
        (timeline, rate)
    }

    /// `stored` are the times in the order of the file; by now `self.times` is in that of showing.
    fn layout(&self, stored: &[i64], rate: Ratio) -> PacketLayout {
        let turn = |time: &i64| self.times.partition_point(|earlier| earlier < time);
        let (mut ahead, mut latest, mut is_closed) = (0, 0, true);
        for (n, turn) in stored.iter().map(turn).enumerate() {
            ahead = ahead.max(n.saturating_sub(turn));
            latest = latest.max(turn);
            is_closed &= self.keys.binary_search(&n).is_err() || (turn == n && latest == n);
        }
        let second = (rate.as_f64().round() as usize).max(1);
        let mut bytes: u64 = 0;
        let mut peak = 0;
        for (n, size) in self.sizes.iter().enumerate() {
            bytes += u64::from(*size);
            if n >= second {
                bytes -= u64::from(self.sizes[n - second]);
            }
            peak = peak.max(bytes);
        }
        PacketLayout {
            is_closed,
            reordered: ahead as u32,
            bit_rate_peak: peak * 8,
        }
    }

    pub(super) fn audio(self, time_base: Ratio, sample_rate: u32) -> AudioTimeline {
        let first_pts = self.times.first().copied().unwrap_or(0);
        AudioTimeline {
            first_pts,
            end_pts: self.end.max(first_pts),
            packets: self.times.len() as u64,
            packet_samples: self.packet_samples(time_base, sample_rate),
            lead_samples: self.unheard.0,
            tail_samples: self.unheard.1,
        }
    }

    /// Ticks between most neighbours.
    fn usual_step(&self) -> f64 {
        let mut steps: Vec<i64> = self.times.windows(2).map(|w| w[1] - w[0]).collect();
        if steps.is_empty() {
            return self.last_duration.max(1) as f64;
        }
        let middle = steps.len() / 2;
        let (_, median, _) = steps.select_nth_unstable(middle);
        // A coarse clock makes steps of 33 and 34: their mean is nearer to the truth.
        let median = *median;
        let near = steps
            .iter()
            .filter(|step| (*step - median).abs() <= 1.max(median / 20));
        let (sum, count) = near.fold((0.0, 0.0), |(sum, count), step| {
            (sum + *step as f64, count + 1.0)
        });
        (sum / count).max(f64::MIN_POSITIVE)
    }

    fn rate(&self, time_base: Ratio, hints: &[Ratio], constant: bool, usual: f64) -> Ratio {
        let (Some(first), Some(last)) = (self.times.first(), self.times.last()) else {
            return STANDARD[1];
        };
        let steps = self.times.len() as f64 - 1.0;
        let span = (last - first) as f64;
        let step = if constant && steps > 0.0 {
            span / steps
        } else {
            usual
        };
        let measured = 1.0 / (step.max(1e-9) * time_base.as_f64());
        // Rounding of the first and last times leaves the measured rate this uncertain.
        let error = if constant && span > 0.0 {
            measured * (2.0 / span).max(1e-6)
        } else {
            measured * 0.02
        };
        let fits = |rate: &&Ratio| (rate.as_f64() - measured).abs() <= error;
        let closest = |a: &&Ratio, b: &&Ratio| {
            let off = |r: &Ratio| (r.as_f64() - measured).abs();
            off(a).total_cmp(&off(b))
        };
        let hinted = hints.iter().filter(fits).min_by(closest);
        let standard = STANDARD.iter().filter(fits).min_by(closest);
        *standard.or(hinted).unwrap_or(&approximate(measured))
    }

    fn packet_samples(&self, time_base: Ratio, sample_rate: u32) -> Option<u32> {
        let (first, last) = (*self.times.first()?, *self.times.last()?);
        if self.times.len() < 2 {
            return None;
        }
        let samples_per_tick = f64::from(sample_rate) * time_base.as_f64();
        let steps = self.times.len() as f64 - 1.0;
        let samples = ((last - first) as f64 * samples_per_tick / steps).round();
        let tolerance = 1.01 + 2.0 / samples_per_tick;
        let regular = samples >= 1.0
            && self.times.iter().enumerate().all(|(n, time)| {
                let expected = first as f64 + n as f64 * samples / samples_per_tick;
                (*time as f64 - expected).abs() <= tolerance
            });
        regular.then_some(samples as u32)
    }
}

/// Most key frames that are listed: one every 0.7 seconds of twelve hours.
const KEYS_MAX: usize = 65_536;

/// Keeps every second, third, ... until few enough are left.
fn thin(keys: &mut Vec<i64>) {
    let every = keys.len().div_ceil(KEYS_MAX).max(1);
    if every > 1 {
        *keys = keys.iter().copied().step_by(every).collect();
    }
}

/// Rates that cameras, films and broadcasts have.
const STANDARD: &[Ratio] = &[
    Ratio { num: 24, den: 1 },
    Ratio { num: 25, den: 1 },
    Ratio { num: 30, den: 1 },
    Ratio {
        num: 24_000,
        den: 1001,
    },
    Ratio {
        num: 30_000,
        den: 1001,
    },
    Ratio { num: 48, den: 1 },
    Ratio { num: 50, den: 1 },
    Ratio { num: 60, den: 1 },
    Ratio {
        num: 60_000,
        den: 1001,
    },
    Ratio { num: 5, den: 1 },
    Ratio { num: 10, den: 1 },
    Ratio { num: 12, den: 1 },
    Ratio { num: 25, den: 2 },
    Ratio { num: 15, den: 1 },
    Ratio { num: 20, den: 1 },
    Ratio { num: 100, den: 1 },
    Ratio { num: 120, den: 1 },
    Ratio { num: 240, den: 1 },
];

/// Within a tick, which is what rounding moves a time, plus a hundredth of a picture.
fn is_constant(times: &[i64]) -> bool {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return true;
    };
    let step = (last - first) as f64 / (times.len() as f64 - 1.0).max(1.0);
    let tolerance = 1.01 + step * 0.01;
    times.len() < 2
        || step > 0.0
            && times.iter().enumerate().all(|(n, time)| {
                let expected = *first as f64 + n as f64 * step;
                (*time as f64 - expected).abs() <= tolerance
            })
}

/// A fraction with thousandths: good enough for a rate that nobody named.
fn approximate(rate: f64) -> Ratio {
    let thousandths = (rate * 1000.0).round().clamp(1.0, 1_000_000_000.0) as u32;
    Ratio::new(thousandths, 1000).expect("neither side is zero")
}
