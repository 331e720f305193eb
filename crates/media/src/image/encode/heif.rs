//! The AVIF container (ISO/IEC 23008-12 and AV1-AVIF): one colour image, an optional alpha
//! image, an optional ICC profile and EXIF block. Knows nothing of the encoder.

/// One AV1 image with the facts that the container repeats about it.
pub(super) struct Av1Image {
    /// The bitstream without temporal delimiters.
    pub data: Vec<u8>,
    /// `seq_profile` of the sequence header.
    pub profile: u8,
    /// `seq_level_idx` of the sequence header.
    pub level: u8,
}

impl Av1Image {
    /// Takes the one temporal unit that an encoder gave for a still picture.
    ///
    /// Returns `None` when the bytes are not what AV1 section 5.3 describes.
    pub(super) fn from_temporal_unit(unit: &[u8]) -> Option<Self> {
        const SEQUENCE_HEADER: u8 = 1;
        const TEMPORAL_DELIMITER: u8 = 2;
        let (mut data, mut sequence) = (Vec::with_capacity(unit.len()), None);
        let mut rest = unit;
        while let [header, tail @ ..] = rest {
            let has_extension = header & 0x04 != 0;
            let tail = if has_extension { tail.get(1..)? } else { tail };
            let (length, tail) = if header & 0x02 != 0 {
                leb128(tail)?
            } else {
                (tail.len(), tail)
            };
            let payload = tail.get(..length)?;
            let after = &tail[length..];
            match header >> 3 & 0x0F {
                TEMPORAL_DELIMITER => {}
                kind => {
                    if kind == SEQUENCE_HEADER {
                        sequence = sequence_header(payload);
                    }
                    data.extend_from_slice(&rest[..rest.len() - after.len()]);
                }
            }
            rest = after;
        }
        let (profile, level) = sequence?;
        Some(Self {
            data,
            profile,
            level,
        })
    }
}

/// Profile and level of a sequence header with `reduced_still_picture_header` set.
fn sequence_header(payload: &[u8]) -> Option<(u8, u8)> {
    let bits = u16::from_be_bytes([*payload.first()?, *payload.get(1)?]);
    let reduced = bits >> 11 & 1 == 1;
    reduced.then_some(((bits >> 13) as u8, (bits >> 6 & 0x1F) as u8))
}

fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0;
    for (i, byte) in bytes.iter().enumerate().take(8) {
        value |= usize::from(byte & 0x7F) << (7 * i);
        if byte & 0x80 == 0 {
            return Some((value, &bytes[i + 1..]));
        }
    }
    None
}

/// What goes into a file.
pub(super) struct Contents<'a> {
    pub width: u32,
    pub height: u32,
    /// 4:2:0 or 4:4:4, told by whether colour is halved.
    pub subsampled: bool,
    pub color: Av1Image,
    pub alpha: Option<Av1Image>,
    pub icc: Option<&'a [u8]>,
    pub exif: Option<Vec<u8>>,
}

const COLOR_ITEM: u16 = 1;
const ALPHA_ITEM: u16 = 2;
const EXIF_ITEM: u16 = 3;

/// Writes the whole file.
pub(super) fn file(contents: &Contents<'_>) -> Vec<u8> {
    let exif = contents
        .exif
        .as_ref()
        .map(|tiff| [&[0; 4], &tiff[..]].concat());
    // Alpha first: whoever shows a partial file needs it from the first pixel on.
    let mut items: Vec<(u16, &[u8])> = Vec::new();
    items.extend(exif.as_deref().map(|e| (EXIF_ITEM, e)));
    items.extend(contents.alpha.as_ref().map(|a| (ALPHA_ITEM, &a.data[..])));
    items.push((COLOR_ITEM, &contents.color.data));

    let ftyp = boxed(
        b"ftyp",
        &[
            b"avif\0\0\0\0avifmif1miaf",
            if contents.subsampled {
                b"MA1B"
            } else {
                b"MA1A"
            },
        ],
    );
    // Offsets are of fixed width, so a first pass without them tells how long everything is.
    let start = ftyp.len() + meta(contents, &items, 0).len() + 8;
    let mut out = ftyp;
    out.extend(meta(contents, &items, start as u32));
    let media: Vec<&[u8]> = items.iter().map(|(_, data)| *data).collect();
    out.extend(boxed(b"mdat", &media));
    out
}

fn meta(contents: &Contents<'_>, items: &[(u16, &[u8])], start: u32) -> Vec<u8> {
    let handler = full(b"hdlr", 0, 0, &[b"\0\0\0\0pict\0\0\0\0\0\0\0\0\0\0\0\0\0"]);
    let primary = full(b"pitm", 0, 0, &[&COLOR_ITEM.to_be_bytes()]);

    let mut places = vec![0x44, 0];
    places.extend((items.len() as u16).to_be_bytes());
    let mut offset = start;
    for (id, data) in items {
        places.extend(id.to_be_bytes());
        places.extend([0, 0, 0, 1]);
        places.extend(offset.to_be_bytes());
        places.extend((data.len() as u32).to_be_bytes());
        offset = offset.wrapping_add(data.len() as u32);
    }
    let locations = full(b"iloc", 0, 0, &[&places]);

    let mut infos = (items.len() as u16).to_be_bytes().to_vec();
    for (id, _) in items {
        let kind = if *id == EXIF_ITEM { b"Exif" } else { b"av01" };
        infos.extend(full(
            b"infe",
            2,
            0,
            &[&id.to_be_bytes(), &[0, 0], kind, &[0]],
        ));
    }
    let infos = full(b"iinf", 0, 0, &[&infos]);

    let reference = |kind: &[u8; 4], from: u16| {
        boxed(
            kind,
            &[
                &from.to_be_bytes(),
                &1u16.to_be_bytes(),
                &COLOR_ITEM.to_be_bytes(),
            ],
        )
    };
    let mut references = Vec::new();
    if contents.alpha.is_some() {
        references.extend(reference(b"auxl", ALPHA_ITEM));
    }
    if contents.exif.is_some() {
        references.extend(reference(b"cdsc", EXIF_ITEM));
    }
    let references = if references.is_empty() {
        references
    } else {
        full(b"iref", 0, 0, &[&references])
    };
    full(
        b"meta",
        0,
        0,
        &[
            &handler,
            &primary,
            &locations,
            &infos,
            &references,
            &properties(contents),
        ],
    )
}

fn properties(contents: &Contents<'_>) -> Vec<u8> {
    const ESSENTIAL: u8 = 0x80;
    let mut list = Vec::new();
    let mut count = 0;
    let mut add = |property: Vec<u8>| {
        list.extend(property);
        count += 1;
        count
    };
    let size = add(full(
        b"ispe",
        0,
        0,
        &[
            &contents.width.to_be_bytes(),
            &contents.height.to_be_bytes(),
        ],
    ));
    let chroma = if contents.subsampled { 0x0C } else { 0 };
    let mut color = vec![size];
    color.push(add(configuration(&contents.color, chroma)) | ESSENTIAL);
    color.push(add(full(b"pixi", 0, 0, &[&[3, 8, 8, 8]])));
    if let Some(icc) = contents.icc {
        color.push(add(boxed(b"colr", &[b"prof", icc])));
    }
    // CICP 1/13/6, full range: BT.709 primaries, sRGB transfer, BT.601 matrix. With a profile
    // the first two stay unspecified, and only the matrix speaks.
    let (primaries, transfer) = if contents.icc.is_some() {
        (2, 2)
    } else {
        (1, 13)
    };
    color.push(add(boxed(
        b"colr",
        &[b"nclx", &[0, primaries, 0, transfer, 0, 6, 0x80]],
    )));

    let mut associations = vec![(COLOR_ITEM, color)];
    if let Some(alpha) = &contents.alpha {
        const MONOCHROME: u8 = 0x1C;
        let configuration = add(configuration(alpha, MONOCHROME)) | ESSENTIAL;
        let depth = add(full(b"pixi", 0, 0, &[&[1, 8]]));
        let role = add(full(
            b"auxC",
            0,
            0,
            &[b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"],
        ));
        associations.push((ALPHA_ITEM, vec![size, configuration, depth, role]));
    }
    let mut map = (associations.len() as u32).to_be_bytes().to_vec();
    for (item, indexes) in associations {
        map.extend(item.to_be_bytes());
        map.push(indexes.len() as u8);
        map.extend(indexes);
    }
    boxed(
        b"iprp",
        &[&boxed(b"ipco", &[&list]), &full(b"ipma", 0, 0, &[&map])],
    )
}

/// `av1C`: `chroma` holds the monochrome and subsampling bits of its third byte.
fn configuration(image: &Av1Image, chroma: u8) -> Vec<u8> {
    boxed(
        b"av1C",
        &[&[0x81, image.profile << 5 | image.level, chroma, 0]],
    )
}

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let length = 8 + parts.iter().map(|p| p.len()).sum::<usize>();
    let mut out = Vec::with_capacity(length);
    out.extend((length as u32).to_be_bytes());
    out.extend(kind);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out
}

fn full(kind: &[u8; 4], version: u8, flags: u32, parts: &[&[u8]]) -> Vec<u8> {
    let head = (u32::from(version) << 24 | flags).to_be_bytes();
    let mut all: Vec<&[u8]> = vec![&head];
    all.extend(parts);
    boxed(kind, &all)
}
