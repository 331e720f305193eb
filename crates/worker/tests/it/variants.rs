//! What comes out of a picture.

use crate::given::{Setup, animation, find, photo, plain, png_of};
use mediaflow_core::operation::Format;
use mediaflow_core::{AssetOptions, AssetState, EventType, Focus};
use mediaflow_engine::store::AssetPatch;

#[tokio::test(flavor = "multi_thread")]
async fn a_photo_becomes_eighteen_renditions_and_a_placeholder() {
    let running = Setup::default().start().await;
    let asset = running.ingest(photo(1300, 900, 1)).await;
    assert_eq!(asset.state, AssetState::Ready);
    assert_eq!(asset.original.dimensions, Some((1300, 900)));
    assert_eq!(asset.inspected.as_ref().unwrap()["width"], 1300);
    assert!(
        asset.placeholder.as_ref().unwrap()["color"]
            .as_str()
            .unwrap()
            .starts_with('#')
    );

    let renditions = running.renditions(asset.id).await;
    assert_eq!(renditions.len(), 18);
    let sizes = [
        ("thumbnail", 150, 150),
        ("small", 320, 222),
        ("medium", 640, 443),
        ("large", 1080, 748),
        ("retina", 1300, 900),
        ("original", 1300, 900),
    ];
    for (profile, width, height) in sizes {
        for format in [Format::Jpeg, Format::Webp, Format::Avif] {
            let found = &find(&renditions, profile, format).rendition;
            assert_eq!(
                found.dimensions,
                Some((width, height)),
                "{profile} {format:?}"
            );
        }
    }
    for servable in &renditions {
        let bytes = running.bytes(servable);
        assert_eq!(bytes.len() as u64, servable.rendition.bytes);
        assert_eq!(
            mediaflow_core::Sha256::of(&bytes),
            servable.rendition.sha256
        );
    }
    let kinds: Vec<EventType> = running
        .events(asset.id)
        .await
        .iter()
        .map(|e| e.kind)
        .collect();
    let at = |kind| kinds.iter().position(|&k| k == kind).unwrap();
    assert!(at(EventType::AssetAccepted) < at(EventType::AssetViewable));
    assert!(at(EventType::AssetViewable) < at(EventType::AssetReady));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn transparency_stays_in_every_format() {
    let running = Setup::default().start().await;
    let asset = running
        .ingest(png_of(&plain(400, 300, [200, 30, 30, 128])))
        .await;
    let renditions = running.renditions(asset.id).await;
    assert!(
        renditions
            .iter()
            .all(|s| s.rendition.format != Format::Jpeg)
    );
    for format in [Format::Png, Format::Webp] {
        let pixels = running.pixels(find(&renditions, "small", format));
        assert!(pixels.is_transparent(), "{format:?}");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_animation_moves_in_webp_and_stands_elsewhere() {
    let running = Setup::default().start().await;
    let asset = running.ingest(animation(5)).await;
    assert_eq!(asset.state, AssetState::Ready);
    let renditions = running.renditions(asset.id).await;
    for servable in &renditions {
        let is_webp = servable.rendition.format == Format::Webp;
        assert_eq!(
            servable.rendition.animated, is_webp,
            "{:?}",
            servable.rendition
        );
    }
    let webp = running.bytes(find(&renditions, "original", Format::Webp));
    let info = mediaflow_media::image::inspect(&webp, &Default::default()).unwrap();
    assert_eq!(
        (info.frames, info.loops, info.duration_ms),
        (5, Some(3), Some(500))
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_without_its_watermark_is_ever_recorded() {
    let mark = plain(100, 100, [255, 0, 0, 255]);
    let running = Setup {
        watermark: Some(mark),
        ..Setup::default()
    }
    .start()
    .await;
    let options = AssetOptions {
        watermark: true,
        ..AssetOptions::default()
    };
    let receipt = running.upload(photo(600, 600, 2), options).await.unwrap();
    let asset = running.rest(receipt.asset).await;
    assert_eq!(asset.state, AssetState::Ready);
    let renditions = running.renditions(asset.id).await;
    assert_eq!(renditions.len(), 18);
    for format in [Format::Jpeg, Format::Webp] {
        let pixels = running.pixels(find(&renditions, "small", format));
        let corner = ((pixels.height() - 40) * pixels.width() + pixels.width() - 40) as usize
            * pixels.layout().channels();
        let [r, g, b] = pixels.data()[corner..corner + 3] else {
            unreachable!()
        };
        assert!(r > 200 && g < 60 && b < 60, "{format:?}: {r} {g} {b}");
    }
    let plain = running.ingest(photo(600, 600, 2)).await;
    let unmarked = running.renditions(plain.id).await;
    let of = |all: &[mediaflow_engine::store::Servable]| {
        find(all, "small", Format::Jpeg).rendition.sha256
    };
    assert_ne!(
        of(&renditions),
        of(&unmarked),
        "marks are never reused where none was asked for"
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crops_follow_a_new_focus_and_the_rest_is_reused() {
    let running = Setup::default().start().await;
    let asset = running.ingest(photo(900, 300, 3)).await;
    let before = running.renditions(asset.id).await;
    let patch = AssetPatch {
        focus: Some(Focus { x: 0.0, y: 0.5 }),
        ..AssetPatch::default()
    };
    running
        .engine
        .update(crate::given::TENANT, asset.id, patch)
        .await
        .unwrap();
    let after = running.until(asset.id, |a| a.published == 2).await;
    assert_eq!(after.run.generation, 2);
    let after = running.renditions(asset.id).await;
    let digest = |all: &[mediaflow_engine::store::Servable], profile| {
        find(all, profile, Format::Avif).rendition.sha256
    };
    assert_ne!(digest(&before, "thumbnail"), digest(&after, "thumbnail"));
    assert_eq!(digest(&before, "large"), digest(&after, "large"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn squeezing_replaces_what_became_smaller_after_publishing() {
    let recipe = include_str!("../../../../recipes/image.toml").to_owned()
        + "\n[[steps]]\nname = \"squeeze\"\noperation = \"image.squeeze\"\nneeds = [\"publish\"]\noptional = true\n\
           formats = [{ format = \"webp\", quality = 60, effort = 6 }]\n";
    let running = Setup {
        recipe: Some(recipe),
        ..Setup::default()
    }
    .start()
    .await;
    let asset = running.ingest(photo(700, 500, 4)).await;
    let improved =
        |e: &mediaflow_engine::store::EventRecord| e.kind == EventType::RenditionImproved;
    let mut changes = running.engine.store().on_event();
    let wait = async {
        while !running.events(asset.id).await.iter().any(improved) {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), wait)
        .await
        .expect("it improves");
    let renditions = running.renditions(asset.id).await;
    assert_eq!(renditions.len(), 18);
    let pixels = running.pixels(find(&renditions, "large", Format::Webp));
    assert_eq!((pixels.width(), pixels.height()), (700, 500));
    running.stop().await;
}
