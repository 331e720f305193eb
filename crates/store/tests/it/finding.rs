//! Search and paging.

use crate::given::{Given, TENANT};
use mediaflow_core::{AssetId, AssetState, Kind};
use mediaflow_store::{Search, StoreError};
use std::collections::HashSet;
use std::time::Duration;

on_every_store! {
    each_filter_finds_what_it_names_and_together_they_narrow,
    pages_neither_skip_nor_repeat_while_uploads_go_on,
    a_cursor_from_elsewhere_is_refused,
}

async fn found(given: &Given, search: Search) -> Vec<AssetId> {
    let search = Search {
        limit: 200,
        ..search
    };
    let page = given.store.search(TENANT, &search).await.unwrap();
    page.items.into_iter().map(|a| a.id).collect()
}

fn text(words: &str) -> Search {
    Search {
        text: Some(words.into()),
        ..Search::default()
    }
}

async fn each_filter_finds_what_it_names_and_together_they_narrow(given: &mut Given) {
    let start = given.world_now();
    let mut upload = given.upload();
    upload.options.title = Some("Café at the \"harbour\"".into());
    upload.options.tags = vec!["sea".into(), "evening".into()];
    upload.filename = Some("IMG_1234.jpg".into());
    let harbour = given.accept(upload).await.asset;
    given.world.pass(Duration::from_secs(10));
    let mut upload = given.upload();
    upload.media_type = "image/png".into();
    upload.options.tags = vec!["sea".into()];
    let plain = given.accept(upload).await.asset;
    let later = given.world_now();

    let by = async |search: Search| found(given, search).await;
    assert_eq!(
        by(Search::default()).await,
        [plain, harbour],
        "newest first"
    );
    let tagged = |tag: &str| Search {
        tag: Some(tag.into()),
        ..Search::default()
    };
    assert_eq!(by(tagged("sea")).await, [plain, harbour]);
    assert_eq!(by(tagged("evening")).await, [harbour]);
    assert_eq!(by(tagged("se")).await, []);
    let png = Search {
        media_type: Some("image/png".into()),
        kind: Some(Kind::Image),
        ..Search::default()
    };
    assert_eq!(by(png.clone()).await, [plain]);
    assert_eq!(
        by(Search {
            tag: Some("evening".into()),
            ..png.clone()
        })
        .await,
        []
    );
    assert_eq!(
        by(Search {
            since: Some(later),
            ..Search::default()
        })
        .await,
        [plain]
    );
    assert_eq!(
        by(Search {
            until: Some(later),
            ..Search::default()
        })
        .await,
        [harbour]
    );
    assert_eq!(
        by(Search {
            since: Some(start),
            until: Some(start),
            ..Search::default()
        })
        .await,
        []
    );

    for words in [
        "cafe",
        "harb",
        "HARBOUR cafe",
        "1234",
        "img_1234.jpg",
        "evening",
    ] {
        assert_eq!(by(text(words)).await, [harbour], "{words}");
    }
    for words in [
        "harb cafe",
        "boat",
        "\"",
        "*",
        "NOT",
        "a:b",
        "' OR 1=1 --",
        "NEAR(",
    ] {
        assert_eq!(by(text(words)).await, [], "{words}");
    }
    assert_eq!(
        by(Search {
            text: Some("cafe".into()),
            ..tagged("evening")
        })
        .await,
        [harbour]
    );
    assert_eq!(
        by(Search {
            text: Some("photo".into()),
            ..tagged("evening")
        })
        .await,
        []
    );

    given.all_done().await;
    assert_eq!(
        by(text("kodak brown")).await,
        [plain, harbour],
        "what inspection found"
    );
    let state = |state| Search {
        state: Some(state),
        ..Search::default()
    };
    assert_eq!(by(state(AssetState::Ready)).await, [plain, harbour]);
    given.store.delete(TENANT, plain).await.unwrap();
    assert_eq!(by(state(AssetState::Ready)).await, [harbour]);
    assert_eq!(by(state(AssetState::Deleted)).await, [plain]);
    assert_eq!(by(Search::default()).await, [harbour]);
    assert_eq!(by(tagged("sea")).await, [harbour]);
    assert_eq!(by(text("kodak")).await, [harbour]);
    let stranger = given.world_id().into();
    let none = given
        .store
        .search(
            stranger,
            &Search {
                limit: 10,
                ..text("kodak")
            },
        )
        .await
        .unwrap();
    assert!(none.items.is_empty());
}

async fn pages_neither_skip_nor_repeat_while_uploads_go_on(given: &mut Given) {
    let mut expected = HashSet::new();
    for n in 0..30 {
        let mut upload = given.upload();
        upload.options.tags = vec!["sea".into()];
        upload.options.title = Some("sunset".into());
        expected.insert(given.accept(upload).await.asset);
        if n % 3 == 0 {
            given.world.pass(Duration::from_millis(1));
        }
    }
    let searches = [
        Search::default(),
        text("sunset"),
        Search {
            tag: Some("sea".into()),
            ..Search::default()
        },
        Search {
            state: Some(AssetState::Uploaded),
            ..Search::default()
        },
        Search {
            media_type: Some("image/jpeg".into()),
            ..Search::default()
        },
    ];
    for mut search in searches {
        search.limit = 7;
        let mut seen = Vec::new();
        loop {
            let page = given.store.search(TENANT, &search).await.unwrap();
            seen.extend(page.items.iter().map(|a| a.id));
            let mut upload = given.upload();
            upload.options.tags = vec!["sea".into()];
            upload.options.title = Some("sunset".into());
            given.accept(upload).await;
            search.cursor = page.next_cursor;
            if search.cursor.is_none() {
                break;
            }
        }
        let distinct: HashSet<_> = seen.iter().copied().collect();
        assert_eq!(distinct.len(), seen.len(), "no repeats");
        assert!(expected.is_subset(&distinct), "no gaps");
        expected.extend(distinct);
        // What came during this search is there for the next.
        expected.extend(found(given, Search::default()).await);
    }
}

async fn a_cursor_from_elsewhere_is_refused(given: &mut Given) {
    for (cursor, limit) in [
        (Some("rubbish"), 10),
        (Some("e30"), 10),
        (None, 0),
        (None, 201),
    ] {
        let search = Search {
            cursor: cursor.map(str::to_owned),
            limit,
            ..Search::default()
        };
        let refused = given.store.search(TENANT, &search).await;
        assert!(matches!(refused, Err(StoreError::InvalidQuery(_))));
    }
}
