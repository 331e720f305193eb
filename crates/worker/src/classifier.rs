//! The gRPC client of `proto/moderation.proto`, behind a circuit breaker: a classifier that is down is not
//! asked by every task, and nothing is shown meanwhile.

use mediaflow_core::{ErrorCode, Failure};
use mediaflow_engine::ClassifierConfig;
use mediaflow_proto::moderation::v1 as proto;
use proto::classifier_client::ClassifierClient;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tracing::Instrument as _;
use tracing::field::Empty;

/// One picture to look at.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) index: u32,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) jpeg: Vec<u8>,
}

/// The highest score of each label over all pictures, and who gave them.
#[derive(Debug, Clone)]
pub(crate) struct Scores {
    pub(crate) scores: BTreeMap<String, f32>,
    pub(crate) model: Option<String>,
}

/// A configured classifier.
pub(crate) struct Classifier {
    client: ClassifierClient<Channel>,
    deadline: Duration,
    breaker: Breaker,
}

impl Classifier {
    /// # Errors
    /// A sentence for the operator.
    pub(crate) fn new(config: &ClassifierConfig) -> Result<Option<Self>, String> {
        let Some(url) = &config.url else {
            return Ok(None);
        };
        let endpoint = Endpoint::from_shared(url.clone())
            .map_err(|e| format!("moderation.classifier.url {url:?}: {e}; it should look like \"http://127.0.0.1:50051\""))?;
        let deadline = Duration::from_millis(config.deadline_ms);
        let channel = endpoint.connect_timeout(deadline).connect_lazy();
        Ok(Some(Self {
            client: ClassifierClient::new(channel),
            deadline,
            breaker: Breaker {
                failures_max: config.breaker_failures,
                open_for: Duration::from_secs(config.breaker_open_s),
                state: Mutex::new(BreakerState {
                    failures: 0,
                    open_until: None,
                }),
            },
        }))
    }

    /// Whether it is worth asking at this moment; asked before pictures are made for it.
    ///
    /// # Errors
    /// `moderation.unavailable`, at no cost.
    pub(crate) fn admit(&self) -> Result<(), Failure> {
        if self.breaker.allows() {
            return Ok(());
        }
        Err(Failure::deferred(
            ErrorCode::ModerationUnavailable,
            "the classifier failed several times in a row; it is asked again in a moment",
        ))
    }

    /// Scores an asset's pictures, once [`Self::admit`] agreed.
    ///
    /// # Errors
    /// `moderation.unavailable`, to be retried.
    pub(crate) async fn classify(
        &self,
        asset: &str,
        frames: Vec<Frame>,
    ) -> Result<Scores, Failure> {
        let span = tracing::info_span!("classify", frames = frames.len(), error = Empty);
        let asking = self.stream(asset, frames).instrument(span.clone());
        let outcome = tokio::time::timeout(self.deadline, asking).await;
        let outcome =
            outcome.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer in time")));
        self.breaker.record(outcome.is_ok());
        if outcome.is_err() {
            span.record("error", ErrorCode::ModerationUnavailable.as_str());
        }
        outcome.map_err(|status| match status.code() {
            Code::InvalidArgument => {
                let message = format!("the classifier cannot read a frame: {}", status.message());
                Failure::permanent(ErrorCode::ModerationUnavailable, message)
            }
            code => unavailable(format!(
                "the classifier answered {code}: {}",
                status.message()
            )),
        })
    }

    async fn stream(&self, asset: &str, frames: Vec<Frame>) -> Result<Scores, Status> {
        let sent = frames.len();
        let asset = asset.to_owned();
        let requests =
            tokio_stream::iter(frames.into_iter().map(move |frame| proto::ClassifyRequest {
                asset_id: asset.clone(),
                frame_index: frame.index,
                width: frame.width,
                height: frame.height,
                picture: Some(proto::classify_request::Picture::Jpeg(frame.jpeg)),
            }));
        let mut request = Request::new(requests);
        request.set_timeout(self.deadline);
        let mut answers = self.client.clone().classify(request).await?.into_inner();
        let mut found = Scores {
            scores: BTreeMap::new(),
            model: None,
        };
        let mut answered = 0;
        while let Some(answer) = answers.message().await? {
            answered += 1;
            for (label, score) in answer.scores {
                let highest = found.scores.entry(label).or_insert(score);
                // A score that is no number must not be hidden by one that is.
                if score > *highest || score.is_nan() {
                    *highest = score;
                }
            }
            if let Some(model) = answer.model {
                found.model = Some(format!("{} {}", model.name, model.version));
            }
        }
        if answered < sent {
            return Err(Status::unavailable(format!(
                "{answered} of {sent} frames were answered"
            )));
        }
        Ok(found)
    }
}

fn unavailable(message: String) -> Failure {
    Failure::transient(ErrorCode::ModerationUnavailable, message)
}

/// Stops calls after failures in a row; after a pause one call tries again.
#[derive(Debug)]
struct Breaker {
    failures_max: u32,
    open_for: Duration,
    state: Mutex<BreakerState>,
}

#[derive(Debug)]
struct BreakerState {
    failures: u32,
    open_until: Option<Instant>,
}

impl Breaker {
    fn allows(&self) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match state.open_until {
            Some(until) if Instant::now() < until => false,
            Some(_) => {
                // This caller tries; the others wait for its outcome.
                state.open_until = Some(Instant::now() + self.open_for);
                true
            }
            None => true,
        }
    }

    fn record(&self, succeeded: bool) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if succeeded {
            *state = BreakerState {
                failures: 0,
                open_until: None,
            };
            return;
        }
        state.failures += 1;
        if state.failures >= self.failures_max {
            state.open_until = Some(Instant::now() + self.open_for);
        }
    }
}
