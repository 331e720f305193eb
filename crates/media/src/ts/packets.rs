//! Transport packets, and nothing about what is in them.

use super::units::Stream;

/// Bytes of every packet.
pub(super) const LENGTH: usize = 188;
const HEADER: usize = 4;
/// An adaptation field with a clock: length, flags, six bytes of time.
const WITH_CLOCK: usize = 8;
const HAS_CLOCK: u8 = 0x10;
const IS_ENTRY: u8 = 0x40;
/// The counter of packets has four bits.
const ROUND: usize = 16;

const PAT_PID: u16 = 0;
const PMT_PID: u16 = 0x1000;
const PROGRAM: u16 = 1;

/// How long before they are decoded data arrive, and the longest time between two clocks, in ticks: a tenth of a second.
const AHEAD: u64 = 9_000;
const CLOCK_MASK: u64 = (1 << 33) - 1;

/// An elementary packet: a picture, or some blocks of sound.
pub(super) struct Pes<'a> {
    /// Of its first sample, in ticks.
    pub(super) shown: u64,
    /// Of its first sample, in ticks.
    pub(super) decoded: u64,
    /// Whether players can begin here.
    pub(super) is_entry: bool,
    /// Whether it is the segment's last.
    pub(super) is_last: bool,
    pub(super) data: &'a [u8],
}

/// A segment being written.
pub(super) struct Packets {
    stream: Stream,
    /// The segment's number: its tables are one packet each, and counted on over segments.
    segment: u32,
    /// Packets with data so far.
    count: usize,
    /// The last clock.
    clock: Option<u64>,
    bytes: Vec<u8>,
}

impl Packets {
    pub(super) fn new(stream: Stream, segment: u32) -> Self {
        Self {
            stream,
            segment,
            count: 0,
            clock: None,
            bytes: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What programs there are, and of which streams the one program is made.
    pub(super) fn tables(&mut self) {
        let [high, low] = PROGRAM.to_be_bytes();
        let [pmt_high, pmt_low] = (0xe000 | PMT_PID).to_be_bytes();
        self.table(PAT_PID, 0, &[high, low, pmt_high, pmt_low]);
        let [pid_high, pid_low] = (0xe000 | self.stream.pid).to_be_bytes();
        let streams = [
            pid_high,
            pid_low,
            0xf0,
            0,
            self.stream.kind,
            pid_high,
            pid_low,
            0xf0,
            0,
        ];
        self.table(PMT_PID, 2, &streams);
    }

    fn table(&mut self, pid: u16, id: u8, body: &[u8]) {
        // Five bytes of header and four of checksum count too.
        let length = (body.len() + 9) as u16;
        let [high, low] = (0xb000 | length).to_be_bytes();
        // Transport stream and program are both number 1; version 0, in force, the only section.
        let mut section = vec![id, high, low, 0, 1, 0xc1, 0, 0];
        section.extend_from_slice(body);
        section.extend_from_slice(&checksum(&section).to_be_bytes());
        self.header(pid, true, 0x10, self.segment as usize);
        let end = self.bytes.len() + LENGTH - HEADER;
        self.bytes.push(0);
        self.bytes.extend_from_slice(&section);
        self.bytes.resize(end, 0xff);
    }

    /// One picture, or some blocks of sound.
    pub(super) fn elementary(&mut self, pes: &Pes<'_>) {
        let clock = pes.decoded.wrapping_sub(AHEAD) & CLOCK_MASK;
        self.clocks_until(clock);
        self.clock = Some(clock);
        let mut data = self.elementary_header(pes);
        data.extend_from_slice(pes.data);
        let beyond_first = data.len().saturating_sub(LENGTH - HEADER - WITH_CLOCK);
        let mut packets = 1 + beyond_first.div_ceil(LENGTH - HEADER);
        if pes.is_last {
            packets = (self.count + packets).next_multiple_of(ROUND) - self.count;
        }
        // A header alone has more bytes than packets are added, so none of them is left empty.
        let mut rest = data.as_slice();
        for n in 0..packets {
            let field = if n == 0 { WITH_CLOCK } else { 0 };
            let space = LENGTH - HEADER - field;
            let (now, later) = rest.split_at(space.min(rest.len() - (packets - n - 1)));
            self.header(self.stream.pid, n == 0, 0, self.count);
            self.count += 1;
            let control = self.bytes.len() - 1;
            let stuffing = space - now.len();
            self.bytes[control] |= if field + stuffing > 0 { 0x30 } else { 0x10 };
            if n == 0 {
                let entry = if pes.is_entry { IS_ENTRY } else { 0 };
                self.clock_field(clock, entry, stuffing);
            } else if stuffing > 0 {
                self.stuffing(stuffing);
            }
            self.bytes.extend_from_slice(now);
            rest = later;
        }
    }

    fn elementary_header(&self, pes: &Pes<'_>) -> Vec<u8> {
        let has_two = pes.shown != pes.decoded;
        let times = if has_two { 10 } else { 5 };
        // Pictures may be longer than the field can say: 0 leaves it open.
        let length = match self.stream.id {
            0xe0 => 0,
            _ => u16::try_from(pes.data.len() + 3 + times).unwrap_or(0),
        };
        let [high, low] = length.to_be_bytes();
        let flags = if has_two { 0xc0 } else { 0x80 };
        // 0x84: the data begin with a sample.
        let mut header = vec![0, 0, 1, self.stream.id, high, low, 0x84, flags, times as u8];
        header.extend_from_slice(&stamp(flags >> 6, pes.shown));
        if has_two {
            header.extend_from_slice(&stamp(1, pes.decoded));
        }
        header
    }

    /// Clocks up to the one that the next segment begins with, which decodes its first sample at `decoded`.
    pub(super) fn tick_until(&mut self, decoded: u64) {
        self.clocks_until(decoded.wrapping_sub(AHEAD) & CLOCK_MASK);
    }

    /// Clocks of their own where samples are too rare to carry them. They count for no packet.
    fn clocks_until(&mut self, end: u64) {
        while let Some(last) = self.clock
            && end.wrapping_sub(last) & CLOCK_MASK > AHEAD
        {
            let next = (last + AHEAD) & CLOCK_MASK;
            self.header(self.stream.pid, false, 0x20, self.count.wrapping_sub(1));
            self.clock_field(next, 0, LENGTH - HEADER - WITH_CLOCK);
            self.clock = Some(next);
        }
    }

    fn header(&mut self, pid: u16, is_start: bool, control: u8, count: usize) {
        let [high, low] = (u16::from(is_start) << 14 | pid).to_be_bytes();
        let counter = (count % ROUND) as u8;
        self.bytes
            .extend_from_slice(&[0x47, high, low, control | counter]);
    }

    fn clock_field(&mut self, clock: u64, flags: u8, stuffing: usize) {
        let end = self.bytes.len() + WITH_CLOCK + stuffing;
        self.bytes
            .extend_from_slice(&[(WITH_CLOCK - 1 + stuffing) as u8, HAS_CLOCK | flags]);
        // 33 bits of time, six reserved, nine bits of a finer clock that we do not need.
        let field = clock << 15 | 0x7e00;
        self.bytes.extend_from_slice(&field.to_be_bytes()[2..]);
        self.bytes.resize(end, 0xff);
    }

    fn stuffing(&mut self, length: usize) {
        let end = self.bytes.len() + length;
        self.bytes.push((length - 1) as u8);
        if length > 1 {
            self.bytes.push(0);
        }
        self.bytes.resize(end, 0xff);
    }
}

/// A time in 33 bits, cut into parts that end with a one each.
fn stamp(kind: u8, time: u64) -> [u8; 5] {
    [
        kind << 4 | ((time >> 29) as u8 & 0x0e) | 1,
        (time >> 22) as u8,
        (time >> 14) as u8 | 1,
        (time >> 7) as u8,
        (time << 1) as u8 | 1,
    ]
}

/// CRC-32 as ISO/IEC 13818-1, annex A, has it.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            let next = crc << 1;
            if crc >> 31 == 1 {
                next ^ 0x04c1_1db7
            } else {
                next
            }
        })
    })
}
