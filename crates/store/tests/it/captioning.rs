//! Captions: found in a film, given by people, hidden and gone.

use crate::given::{Given, TENANT, video};
use mediaflow_core::{AssetId, EventType, RunSettings, Sha256};
use mediaflow_store::{Generation, NewBlob, NewCaptions, StoreError};

on_every_store! {
    given_captions_outlive_generations_and_hide_found_ones,
    a_deletion_takes_captions_and_what_cannot_have_any_gets_none,
}

fn given_captions(name: &str, text: &str) -> NewCaptions {
    NewCaptions {
        name: name.into(),
        language: "en".into(),
        label: "English".into(),
        blob: NewBlob {
            sha256: Sha256::of(text.as_bytes()),
            bytes: text.len() as u64,
            key: format!("given/{text}"),
        },
    }
}

impl Given {
    async fn captions(&self, asset: AssetId) -> Vec<(String, Sha256)> {
        let found = self.store.captions(asset).await.unwrap();
        found.into_iter().map(|c| (c.name, c.sha256)).collect()
    }

    async fn give(&self, asset: AssetId, new: NewCaptions) -> Result<(), StoreError> {
        self.store.give_captions(TENANT, asset, new).await
    }

    async fn purged(&self) -> Vec<String> {
        let purges = self.store.purges(100).await.unwrap();
        purges.into_iter().flat_map(|p| p.paths).collect()
    }
}

async fn given_captions_outlive_generations_and_hide_found_ones(given: &mut Given) {
    let asset = given.video().await;
    let first = given_captions("captions-en", "first");
    given.give(asset, first.clone()).await.unwrap();
    assert_eq!(given.captions(asset).await, [], "nothing shows yet");
    given.all_done().await;
    let own = |new: &NewCaptions| vec![(new.name.clone(), new.blob.sha256)];
    assert_eq!(given.captions(asset).await, own(&first));

    let generation = Generation {
        recipe: video(),
        settings: RunSettings::default(),
    };
    let again = given.store.reprocess(TENANT, asset, generation).await;
    assert_eq!(again.unwrap(), 2);
    given.all_done().await;
    assert_eq!(given.record(asset).await.published, 2);
    assert_eq!(given.captions(asset).await, own(&first));

    let second = given_captions("captions-en", "second");
    given.give(asset, second.clone()).await.unwrap();
    assert_eq!(given.captions(asset).await, own(&second));
    let old = format!("/media/{asset}/{}/captions-en.vtt", first.blob.sha256);
    assert!(given.purged().await.contains(&old));

    given
        .store
        .take_captions(TENANT, asset, "captions-en")
        .await
        .unwrap();
    let found = given.captions(asset).await;
    let of_film = Sha256::of(format!("WEBVTT of {asset}").as_bytes());
    assert_eq!(found, [("captions-en".to_owned(), of_film)]);
    let again = given
        .store
        .take_captions(TENANT, asset, "captions-en")
        .await;
    assert!(matches!(again, Err(StoreError::CaptionsNotFound)));
    let history = given
        .store
        .events(TENANT, asset, 0, 200)
        .await
        .unwrap()
        .items;
    let count = |kind| history.iter().filter(|e| e.kind == kind).count();
    assert_eq!(count(EventType::CaptionsGiven), 2);
    assert_eq!(count(EventType::CaptionsRemoved), 1);
}

async fn a_deletion_takes_captions_and_what_cannot_have_any_gets_none(given: &mut Given) {
    let asset = given.video().await;
    given.all_done().await;
    given
        .give(asset, given_captions("captions-fr", "a"))
        .await
        .unwrap();
    given.store.delete(TENANT, asset).await.unwrap();
    assert_eq!(given.captions(asset).await, []);
    assert!(
        given
            .purged()
            .await
            .contains(&format!("/media/{asset}/captions-fr.vtt"))
    );
    let late = given.give(asset, given_captions("captions-fr", "b")).await;
    assert!(matches!(late, Err(StoreError::AssetDeleted)));
    let picture = given.asset().await;
    let never = given
        .give(picture, given_captions("captions-fr", "c"))
        .await;
    assert!(matches!(never, Err(StoreError::Conflict(_))));
}
