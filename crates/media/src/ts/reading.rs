//! Reads back what pictures a segment of ours lists, for the last check. Decodes nothing.

use super::packets::LENGTH;
use super::units::PICTURES_PID;
use crate::MediaError;

/// When each picture is shown, and whether players can begin at it, in the order of decoding.
///
/// # Errors
/// `encoder.failed` when these are no whole packets as we write them.
pub(crate) fn pictures(bytes: &[u8]) -> Result<Vec<(i64, bool)>, MediaError> {
    let mut found = Vec::new();
    for packet in bytes.chunks(LENGTH) {
        if packet.len() != LENGTH || packet[0] != 0x47 {
            return Err(MediaError::encoder(
                "packets of a transport stream are broken",
            ));
        }
        let start_and_pid = u16::from_be_bytes([packet[1], packet[2]]);
        if start_and_pid & 0x5fff == 0x4000 | PICTURES_PID {
            found.push(picture(packet).ok_or_else(|| {
                MediaError::encoder("a picture of a transport stream has no time")
            })?);
        }
    }
    Ok(found)
}

/// Of the first packet of a picture: it has an adaptation field, and then the elementary header.
fn picture(packet: &[u8]) -> Option<(i64, bool)> {
    let field = usize::from(packet[4]);
    let header = packet.get(5 + field..)?;
    let stamp = header.get(9..14)?;
    let part = |at: usize, mask: u8| i64::from(stamp[at] & mask);
    let time = part(0, 0x0e) << 29
        | part(1, 0xff) << 22
        | part(2, 0xfe) << 14
        | part(3, 0xff) << 7
        | part(4, 0xfe) >> 1;
    Some((time, packet[5] & 0x40 != 0))
}
