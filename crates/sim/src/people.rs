//! People: who send files and send them again, who look, and who want something of what they sent.

use crate::plan::Fault;
use crate::recipes;
use crate::world::{Event, Upload, World};
use mediaflow_blob::BlobKey;
use mediaflow_core::operation::Facts;
use mediaflow_core::run::WatermarkSettings;
use mediaflow_core::{
    AssetId, AssetOptions, Decision, ModerationPolicy, RunSettings, RunState, Sha256, TenantId,
    Visibility,
};
use mediaflow_store::{
    Accept, AssetPatch, Catalog as _, Environment as _, Generation, Idempotency, NewBlob, Servable,
    StoreError,
};
use std::sync::Arc;
use uuid::Uuid;

/// How often somebody sends a file that is not taken.
const TRIES_MAX: u32 = 8;

fn settings(choice: u64) -> RunSettings {
    RunSettings {
        moderation: match choice % 3 {
            0 => ModerationPolicy::Off,
            1 => ModerationPolicy::Review,
            _ => ModerationPolicy::Classifier,
        },
        watermark: choice.is_multiple_of(2).then(|| WatermarkSettings {
            sha256: Sha256::of(b"mark"),
            position: "center".into(),
            opacity: 0.5,
            scale: 0.2,
        }),
        ..RunSettings::default()
    }
}

impl World {
    pub(crate) fn send_uploads(&mut self) {
        let tenants = [TenantId::DEFAULT, TenantId(Uuid::from_u128(7))];
        let allowed: Vec<usize> = (0..recipes::COUNT)
            .filter(|i| self.plan.recipes >> i & 1 == 1)
            .collect();
        for number in 0..self.plan.uploads as usize {
            let recipe = self.random.pick(&allowed).copied().unwrap_or_default();
            // Few contents, so that some are sent twice.
            let poison = self.trouble.happens(Fault::Poison) || number < self.plan.poisons as usize;
            let content = match poison {
                true => format!("poison {number}"),
                false => format!("content {}", self.random.below(6)),
            };
            let is_bulk = number < self.plan.bulk as usize;
            let upload = Upload {
                tenant: tenants
                    [usize::from(is_bulk || self.plan.bulk == 0 && self.random.chance(250))],
                name: format!("u{number}"),
                content,
                key: self.random.chance(600).then(|| format!("key {number}")),
                recipe,
                settings: settings(self.random.next()),
                poison,
                tries: 0,
                acknowledged: Vec::new(),
                acknowledged_at: None,
            };
            self.uploads.push(upload);
            let within = match is_bulk {
                true => 1000,
                false => self.plan.trouble_s * 600,
            };
            let at = self.random.below(within) as i64;
            self.at(at, Event::Upload(number));
        }
    }

    pub(crate) fn is_poison(&self, sha256: Sha256) -> bool {
        let same = |u: &Upload| u.poison && Sha256::of(u.content.as_bytes()) == sha256;
        self.uploads.iter().any(same)
    }

    /// As `Engine::accept` does it: bytes first, and then the rows.
    pub(crate) fn upload(&mut self, which: usize) {
        let upload = &mut self.uploads[which];
        upload.tries += 1;
        let key = BlobKey::original(self.clock.id());
        if self.bytes.put(&key, upload.content.as_bytes()).is_err() {
            return self.send_again(which);
        }
        let pause = self.about(1);
        self.after(pause, Event::Record(which, key.as_str().to_owned()));
    }

    fn send_again(&mut self, which: usize) {
        if self.uploads[which].tries < TRIES_MAX {
            let pause = self.about(8);
            self.after(pause, Event::Upload(which));
        }
    }

    pub(crate) fn record(&mut self, which: usize, key: &str) {
        let upload = &self.uploads[which];
        let sha256 = Sha256::of(upload.content.as_bytes());
        let recipe = Arc::clone(&recipes::all()[upload.recipe]);
        let tenant = upload.tenant;
        let accept = Accept {
            tenant,
            original: NewBlob {
                sha256,
                bytes: upload.content.len() as u64,
                key: key.to_owned(),
            },
            media_type: "image/jpeg".into(),
            filename: Some(upload.name.clone()),
            dimensions: Some((4000, 3000)),
            facts: Facts {
                pixels: 12_000_000,
                frames: 1,
                bytes: 100,
            },
            kind: recipe.kind,
            recipe,
            settings: upload.settings.clone(),
            options: AssetOptions {
                watermark: upload.settings.watermark.is_some(),
                ..AssetOptions::default()
            },
            correlation_id: upload.name.clone(),
            upload: None,
            counted: None,
            idempotency: upload.key.clone().map(|key| Idempotency {
                key,
                digest: sha256,
            }),
        };
        let is_keyed = upload.key.is_some();
        match self.db.accept(accept) {
            Ok(accepted) => {
                if accepted.surplus {
                    self.discard(key);
                }
                let known = &self.uploads[which].acknowledged;
                if is_keyed && known.iter().any(|a| *a != accepted.asset) {
                    self.db.wrong(format!(
                        "one key was answered with {known:?} and {}",
                        accepted.asset
                    ));
                }
                self.uploads[which].acknowledged.push(accepted.asset);
                self.uploads[which].acknowledged_at.get_or_insert(self.now);
                self.assets.push((accepted.asset, tenant, sha256));
                // The answer may be lost between here and its sender.
                if is_keyed && self.trouble.happens(Fault::AnswerLost) {
                    self.send_again(which);
                }
            }
            Err(error) => {
                // As the engine has it: after an unknown outcome the row may exist, and the collector decides.
                if matches!(error, StoreError::Full(_)) {
                    self.discard(key);
                }
                self.send_again(which);
            }
        }
    }

    fn discard(&self, key: &str) {
        if let Ok(key) = key.parse() {
            self.bytes.discard(&key);
        }
    }

    fn some_asset(&mut self) -> Option<(AssetId, TenantId)> {
        let picked = self.random.pick(&self.assets).copied();
        picked.map(|(asset, tenant, _)| (asset, tenant))
    }

    pub(crate) fn read(&mut self) {
        if !self.trouble.is_over() {
            let pause = self.about(12);
            self.after(pause, Event::Read);
        }
        if let Some((asset, _)) = self.some_asset() {
            let shown = self.looks(asset);
            self.cdn.fetched(asset, &shown);
        }
    }

    /// What a reader sees must be there, whole, and of one generation.
    pub(crate) fn looks(&self, asset: AssetId) -> Vec<Servable> {
        let shown = match self.db.renditions(asset) {
            Ok(shown) => shown,
            Err(error) => {
                self.db.wrong(format!("{asset} cannot be read: {error}"));
                return Vec::new();
            }
        };
        let inner = self.db.inner();
        let Some(seen) = inner.oracle.assets.get(&asset) else {
            return Vec::new();
        };
        let mut wrong = None;
        if seen.deleted && !shown.is_empty() {
            wrong = Some("shows something after its deletion was acknowledged".to_owned());
        }
        for one in &shown {
            if !self.bytes.holds(&one.key, one.rendition.sha256) {
                wrong = Some(format!("shows {} without its bytes", one.rendition.profile));
            }
            if one.rendition.generation != shown[0].rendition.generation {
                wrong = Some("shows two generations at once".to_owned());
            }
        }
        let is_whole = seen.published > 0
            && inner.oracle.run_state(asset, seen.published) == Some(RunState::Ready);
        if is_whole && let Some(recipe) = inner.oracle.recipe(asset, seen.published) {
            for (profile, format) in recipes::promised(recipe) {
                let has =
                    |s: &Servable| s.rendition.profile == profile && s.rendition.format == format;
                if !shown.iter().any(has) {
                    wrong = Some(format!(
                        "was published without {profile}.{}",
                        format.as_str()
                    ));
                }
            }
        }
        drop(inner);
        if let Some(wrong) = wrong {
            self.db.wrong(format!("{asset} {wrong}"));
        }
        shown
    }

    pub(crate) fn operate(&mut self) {
        if self.trouble.is_over() || self.wishes == 0 {
            return;
        }
        self.wishes -= u32::from(self.trouble.happens(Fault::Operators));
        let pause = self.about(6);
        self.after(pause, Event::Operate);
        let Some((asset, tenant)) = self.some_asset() else {
            return;
        };
        let choice = self.random.below(12);
        let result = match choice {
            0..=2 => {
                let decision = if self.random.chance(700) {
                    Decision::Approve
                } else {
                    Decision::Reject
                };
                self.db.decide(tenant, asset, decision)
            }
            3 | 4 => self.replay_some(tenant, asset),
            5 => self.db.replay_all(tenant).map(|_| ()),
            6 | 7 => self.reprocess(tenant, asset),
            8 => {
                let visibility = if self.random.chance(500) {
                    Visibility::Private
                } else {
                    Visibility::Public
                };
                let patch = AssetPatch {
                    visibility: Some(visibility),
                    ..AssetPatch::default()
                };
                self.db.update(tenant, asset, patch)
            }
            9 => self.db.delete(tenant, asset),
            _ => self.db.decide(tenant, asset, Decision::Approve),
        };
        // Whoever got no answer asks again.
        if let Err(StoreError::Database(_) | StoreError::Full(_)) = result {
            self.wishes += 1;
        }
    }

    fn replay_some(&mut self, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
        let of_asset: Vec<_> = {
            let inner = self.db.inner();
            let tasks = inner.oracle.tasks.iter().filter(|(_, t)| t.asset == asset);
            tasks.map(|(task, _)| *task).collect()
        };
        match self.random.pick(&of_asset) {
            Some(&task) => self.db.replay(tenant, task).map(|_| ()),
            None => Ok(()),
        }
    }

    fn reprocess(&mut self, tenant: TenantId, asset: AssetId) -> Result<(), StoreError> {
        let kind = match crate::database::now(self.db.store().asset(tenant, asset)) {
            Ok(record) => record.kind,
            Err(error) => {
                self.db
                    .wrong(format!("an acknowledged upload is lost: {asset}: {error}"));
                return Ok(());
            }
        };
        let recipe = recipes::for_kind(kind, self.random.next());
        let settings = settings(self.random.next());
        self.db
            .reprocess(tenant, asset, Generation { recipe, settings })
            .map(|_| ())
    }
}
