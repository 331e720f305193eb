//! The size of a HEIF image, from its boxes alone (ISO/IEC 14496-12 and 23008-12).
//!
//! Every read is bounds-checked and every loop consumes input or counts down, so the work is at
//! most linear in the headers, whatever they contain. It knows nothing of codecs and does not
//! prove that the file can be decoded.

/// Most boxes that are looked at on one level.
const BOXES_MAX: usize = 32_767;

/// Width and height of the primary image as it is shown, its clean aperture and rotation applied.
///
/// None when the headers do not say: not a HEIF file, truncated, or written in a way that needs a
/// real parser. Sides are at least 1.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    child(bytes, b"ftyp")?;
    let meta = full_box(child(bytes, b"meta")?)?.1;
    let item = primary_item(child(meta, b"pitm")?)?;
    let iprp = child(meta, b"iprp")?;
    let properties: Vec<_> = boxes(child(iprp, b"ipco")?).collect();

    let associations = boxes(iprp)
        .filter(|(kind, _)| kind == b"ipma")
        .find_map(|(_, body)| associations_of(item, body))?;
    let own: Vec<_> = associations
        .into_iter()
        .filter_map(|index| properties.get((index as usize).checked_sub(1)?).copied())
        .collect();
    let (_, extents) = own.iter().find(|(kind, _)| kind == b"ispe")?;
    let mut extents = Reader(full_box(extents)?.1);
    let mut size = (extents.u32()?, extents.u32()?);
    // Transformations apply in the order in which they are listed.
    for (kind, body) in own {
        match &kind {
            b"clap" => size = cropped(size, body)?,
            b"irot" if body.first()? & 1 == 1 => size = (size.1, size.0),
            _ => {}
        }
    }
    (size.0 > 0 && size.1 > 0).then_some(size)
}

/// The identifier of the primary item, from the body of `pitm`.
fn primary_item(pitm: &[u8]) -> Option<u32> {
    let (version, body) = full_box(pitm)?;
    let mut body = Reader(body);
    if version == 0 {
        body.u16().map(u32::from)
    } else {
        body.u32()
    }
}

/// Which properties `item` has, as indices counted from 1, from the body of `ipma`.
fn associations_of(item: u32, ipma: &[u8]) -> Option<Vec<u16>> {
    let wide = ipma.get(3)? & 1 == 1;
    let (version, body) = full_box(ipma)?;
    let mut body = Reader(body);
    for _ in 0..body.u32()? {
        let id = if version == 0 {
            body.u16()?.into()
        } else {
            body.u32()?
        };
        let count = body.u8()? as usize;
        let entry = body.take(if wide { 2 * count } else { count })?;
        if id == item {
            // The first bit says whether the property is essential.
            return Some(if wide {
                entry
                    .chunks_exact(2)
                    .map(|e| u16::from_be_bytes([e[0], e[1]]) & 0x7fff)
                    .collect()
            } else {
                entry.iter().map(|e| (e & 0x7f).into()).collect()
            });
        }
    }
    None
}

/// The size that the clean aperture `clap` leaves of `size`. Its fractions are rounded.
fn cropped(size: (u32, u32), clap: &[u8]) -> Option<(u32, u32)> {
    let mut clap = Reader(clap);
    let mut side = |whole: u32| -> Option<u32> {
        let (numerator, denominator) = (clap.u32()? as u64, clap.u32()? as u64);
        let rounded = (2 * numerator + denominator).checked_div(2 * denominator)?;
        Some(rounded.min(whole as u64) as u32)
    };
    Some((side(size.0)?, side(size.1)?))
}

type Kind = [u8; 4];

/// The boxes that lie side by side in `bytes`, up to the first that is not whole.
fn boxes(bytes: &[u8]) -> impl Iterator<Item = (Kind, &[u8])> {
    let mut rest = Reader(bytes);
    std::iter::from_fn(move || {
        let all = rest.0.len() as u64;
        let size = rest.u32()? as u64;
        let kind: Kind = rest.take(4)?.try_into().ok()?;
        let size = match size {
            0 => all,
            1 => (rest.u32()? as u64) << 32 | rest.u32()? as u64,
            size => size,
        };
        let header = all - rest.0.len() as u64;
        let body = rest.take(usize::try_from(size.checked_sub(header)?).ok()?)?;
        Some((kind, body))
    })
    .take(BOXES_MAX)
}

fn child<'a>(bytes: &'a [u8], wanted: &Kind) -> Option<&'a [u8]> {
    boxes(bytes)
        .find(|(kind, _)| kind == wanted)
        .map(|(_, body)| body)
}

/// Version and body of a box that has version and flags.
fn full_box(body: &[u8]) -> Option<(u8, &[u8])> {
    Some((*body.first()?, body.get(4..)?))
}

/// Big-endian numbers from the front of a slice.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)
            .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }
}
