use mediaflow_media::MediaError;
use mediaflow_media::image::{
    Cicp, DecodeOptions, Format, HeifProbe, HeifReader, ImageLimits, InspectOptions, RawImage,
    decode, inspect, probe,
};

use crate::make;

const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";

/// Stands in for the child process.
struct Reader(RawImage);

impl HeifReader for Reader {
    fn probe(&self, _: &[u8], _: &ImageLimits) -> Result<HeifProbe, MediaError> {
        let exif = make::exif(&[make::orientation(6)]);
        Ok(HeifProbe {
            width: self.0.width,
            height: self.0.height,
            bit_depth: 10,
            nclx: self.0.nclx,
            exif: Some([&[0, 0, 0, 6], &b"Exif\0\0"[..], &exif].concat()),
            ..HeifProbe::default()
        })
    }

    fn decode(&self, _: &[u8], _: &ImageLimits) -> Result<RawImage, MediaError> {
        Ok(self.0.clone())
    }
}

fn raw(data: Vec<u8>, bit_depth: u8, nclx: Option<Cicp>) -> RawImage {
    RawImage {
        width: 2,
        height: 1,
        channels: 3,
        bit_depth,
        data,
        icc: None,
        nclx,
    }
}

fn cicp(primaries: u16, transfer: u16) -> Option<Cicp> {
    Some(Cicp {
        primaries,
        transfer,
        matrix: 0,
        full_range: true,
    })
}

fn decoded(reader: &Reader) -> Result<Vec<u8>, MediaError> {
    let options = DecodeOptions {
        heif: Some(reader),
        ..DecodeOptions::default()
    };
    decode(HEIC, &options).map(|pixels| pixels.into_data())
}

#[test]
fn without_a_reader_heif_is_refused() {
    let error = probe(HEIC, &ImageLimits::default(), None).unwrap_err();
    assert_eq!(error.code, "input.unsupported");
}

#[test]
fn the_reader_has_turned_the_picture_already() {
    let reader = Reader(raw(vec![1, 2, 3, 4, 5, 6], 8, cicp(1, 13)));
    assert_eq!(decoded(&reader).unwrap(), [1, 2, 3, 4, 5, 6]);
    let info = inspect(
        HEIC,
        &InspectOptions {
            heif: Some(&reader),
            ..InspectOptions::default()
        },
    )
    .unwrap();
    assert_eq!(
        (info.format, info.width, info.height, info.orientation),
        (Format::Heic, 2, 1, 1)
    );
    assert_eq!(info.bit_depth, 10);
}

#[test]
fn samples_of_16_bits_and_their_colours() {
    let wide = [200u16, 100, 80, 128, 128, 128]
        .iter()
        .flat_map(|v| (v * 257).to_le_bytes())
        .collect::<Vec<_>>();
    let p3 = decoded(&Reader(raw(wide.clone(), 16, cicp(12, 13)))).unwrap();
    assert!(
        p3.iter()
            .zip([215u8, 93, 73, 128, 128, 128])
            .all(|(a, b)| a.abs_diff(b) <= 1),
        "{p3:?}"
    );
    let pq = decoded(&Reader(raw(wide, 16, cicp(9, 16)))).unwrap();
    assert_eq!(pq[3], pq[4]);
    assert!(pq[0] > 250, "200/255 of PQ is far above reference white");
}

#[test]
fn an_image_that_contradicts_itself_is_a_crash() {
    for (channels, bit_depth, length) in [(3, 8, 5), (2, 8, 4), (3, 10, 6), (4, 16, 8)] {
        let image = RawImage {
            channels,
            ..raw(vec![0; length], bit_depth, None)
        };
        assert_eq!(decoded(&Reader(image)).unwrap_err().code, "decoder.crashed");
    }
    let huge = RawImage {
        width: 1 << 20,
        height: 1 << 20,
        ..raw(Vec::new(), 8, None)
    };
    assert_eq!(decoded(&Reader(huge)).unwrap_err().code, "limit.pixels");
}
