//! Bad input and small budgets: one asset fails with a true code, the next is served as if nothing had happened.

use crate::given::{Running, Setup, photo, plain, png_of};
use mediaflow_core::{AssetOptions, AssetState, ErrorCode};
use mediaflow_worker::WorkerConfig;

async fn fails_with(running: &Running, bytes: Vec<u8>, code: &str) {
    let asset = running.ingest(bytes).await;
    assert_eq!(asset.state, AssetState::Failed);
    assert_eq!(
        asset.error.as_ref().map(|(c, _)| c.as_str()),
        Some(code),
        "{:?}",
        asset.error
    );
    assert!(running.renditions(asset.id).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_pictures_fail_and_good_ones_follow() {
    let running = Setup::default().start().await;
    let mut cut = photo(500, 400, 1);
    cut.truncate(cut.len() / 2);
    fails_with(&running, cut, "input.corrupt").await;
    fails_with(
        &running,
        b"\x89PNG\r\n\x1a\n and then nothing of the kind".to_vec(),
        "input.corrupt",
    )
    .await;
    let mut bomb = png_of(&plain(4, 4, [0, 0, 0, 255]));
    bomb[16..24].copy_from_slice(&[0, 0, 255, 255, 0, 0, 255, 255]);
    let crc = crc32(&bomb[12..29]);
    bomb[29..33].copy_from_slice(&crc.to_be_bytes());
    fails_with(&running, bomb, "limit.pixels").await;
    assert_eq!(
        running.ingest(photo(500, 400, 1)).await.state,
        AssetState::Ready
    );
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_size_that_a_format_cannot_hold_goes_without_it() {
    let running = Setup::default().start().await;
    let asset = running
        .ingest(png_of(&plain(17_000, 8, [9, 9, 9, 255])))
        .await;
    assert_eq!(asset.state, AssetState::Ready, "{:?}", asset.error);
    let renditions = running.renditions(asset.id).await;
    assert_eq!(renditions.len(), 17, "all but the original in WebP");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_picture_is_refused_before_anything_is_kept() {
    let running = Setup::default().start().await;
    for (bytes, code) in [
        (Vec::new(), ErrorCode::InputEmpty),
        (b"just text".to_vec(), ErrorCode::InputUnsupported),
        (
            b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>".to_vec(),
            ErrorCode::InputUnsupported,
        ),
    ] {
        let refused = running
            .upload(bytes, AssetOptions::default())
            .await
            .expect_err("refused");
        assert_eq!(refused.code, code);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_beyond_the_whole_budget_fails_and_many_within_it_take_turns() {
    let worker = WorkerConfig {
        memory_bytes: 128 << 20,
        scratch_bytes: 16 << 20,
        cpu: 4,
        ..WorkerConfig::default()
    };
    let running = Setup {
        worker,
        ..Setup::default()
    }
    .start()
    .await;
    fails_with(&running, photo(3000, 3000, 1), "limit.memory").await;
    let mut waiting = Vec::new();
    for seed in 0..6 {
        waiting.push(
            running
                .upload(photo(1200, 800, seed), AssetOptions::default())
                .await
                .unwrap()
                .asset,
        );
    }
    for asset in waiting {
        assert_eq!(running.rest(asset).await.state, AssetState::Ready);
    }
    running.stop().await;
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |mut crc, &b| {
        crc ^= u32::from(b);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg());
        }
        crc
    })
}
