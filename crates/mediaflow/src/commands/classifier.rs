//! `mediaflow classifier`: the reference server of `proto/moderation.proto`.
//!
//! It is no model and judges no content. It counts colours, the same way every time, so that the
//! gate can be tried and tested, and so that whoever connects a real model has something to start from:
//!
//! - `test-red`: the share of pixels that are pure red (255, 0, 0, give or take what JPEG does to them);
//! - `darkness`: one minus the mean brightness;
//! - `skin-tone`: the share of pixels in a range of colours that skin often has, and sand, and wood.

use crate::fault::Fault;
use crate::output;
use mediaflow_media::image::{DecodeOptions, decode};
use mediaflow_proto::moderation::v1::classifier_server::{Classifier, ClassifierServer};
use mediaflow_proto::moderation::v1::classify_request::Picture;
use mediaflow_proto::moderation::v1::{ClassifyRequest, ClassifyResponse, Model};
use std::collections::HashMap;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Answers that wait for a slow reader.
const ANSWERS_MAX: usize = 4;
/// Largest frame that is taken: a raw picture of 2048 by 2048 with room to spare.
const MESSAGE_BYTES_MAX: usize = 16 << 20;

pub(crate) async fn run(listen: SocketAddr) -> Result<(), Fault> {
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|e| Fault::failed(format!("cannot listen on {listen}: {e}")))?;
    let address = listener.local_addr().map_err(Fault::failed)?;
    output::print(&format!(
        "The reference classifier listens on http://{address}\nIt counts colours and is no model.\n"
    ))?;
    let service = ClassifierServer::new(Reference).max_decoding_message_size(MESSAGE_BYTES_MAX);
    tonic::transport::Server::builder()
        .add_service(service)
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
            // Without a signal handler there is nothing to wait for; the process ends by the signal itself.
            let _ = tokio::signal::ctrl_c().await;
        })
        .await
        .map_err(|e| Fault::failed(format!("the classifier ended: {e}")))
}

struct Reference;

#[tonic::async_trait]
impl Classifier for Reference {
    type ClassifyStream = ReceiverStream<Result<ClassifyResponse, Status>>;

    async fn classify(
        &self,
        request: Request<Streaming<ClassifyRequest>>,
    ) -> Result<Response<Self::ClassifyStream>, Status> {
        let mut frames = request.into_inner();
        let (answers, stream) = mpsc::channel(ANSWERS_MAX);
        tokio::spawn(async move {
            loop {
                let answer = match frames.message().await {
                    Ok(Some(frame)) => tokio::task::spawn_blocking(move || score(frame))
                        .await
                        .unwrap_or_else(|_| Err(Status::internal("the frame's decoder failed"))),
                    Ok(None) => return,
                    Err(status) => Err(status),
                };
                let is_over = answer.is_err();
                if answers.send(answer).await.is_err() || is_over {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

fn score(frame: ClassifyRequest) -> Result<ClassifyResponse, Status> {
    let channels;
    let pixels = match frame.picture {
        Some(Picture::Rgb(rgb)) => {
            let expected = 3 * u64::from(frame.width) * u64::from(frame.height);
            if expected == 0 || rgb.len() as u64 != expected {
                let text = format!(
                    "rgb must have {expected} bytes (3 * width * height) and has {}",
                    rgb.len()
                );
                return Err(Status::invalid_argument(text));
            }
            channels = 3;
            rgb
        }
        Some(Picture::Jpeg(jpeg)) => {
            let picture = decode(&jpeg, &DecodeOptions::default())
                .map_err(|e| Status::invalid_argument(format!("jpeg: {}", e.message)))?;
            channels = picture.layout().channels();
            picture.into_data()
        }
        None => return Err(Status::invalid_argument("the frame has no picture")),
    };
    Ok(ClassifyResponse {
        frame_index: frame.frame_index,
        scores: scores(pixels.chunks_exact(channels)),
        model: Some(Model {
            name: "mediaflow-reference".to_owned(),
            version: "1".to_owned(),
        }),
    })
}

fn scores<'a>(pixels: impl ExactSizeIterator<Item = &'a [u8]>) -> HashMap<String, f32> {
    let count = pixels.len().max(1) as f64;
    let (mut red, mut skin, mut light) = (0u64, 0u64, 0f64);
    for pixel in pixels {
        let [r, g, b] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
        light += 0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b);
        red += u64::from(r > 240 && g < 24 && b < 24);
        skin += u64::from(
            r > 95 && g > 40 && b > 20 && r - g.min(b) > 15 && r - g > 15 && r > b && r < 250,
        );
    }
    let share = |n: u64| (n as f64 / count) as f32;
    HashMap::from([
        ("test-red".to_owned(), share(red)),
        ("skin-tone".to_owned(), share(skin)),
        (
            "darkness".to_owned(),
            (1.0 - light / count / 255.0).clamp(0.0, 1.0) as f32,
        ),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rgb(width: u32, height: u32, rgb: Vec<u8>) -> ClassifyRequest {
        ClassifyRequest {
            width,
            height,
            picture: Some(Picture::Rgb(rgb)),
            ..ClassifyRequest::default()
        }
    }

    #[test]
    fn red_is_counted_and_black_is_dark() {
        let half = [[255, 0, 0], [0, 0, 0]].concat();
        let answer = score(rgb(2, 1, half)).unwrap();
        assert!((answer.scores["test-red"] - 0.5).abs() < 1e-6);
        assert!(answer.scores["darkness"] > 0.85);
        let again = score(rgb(2, 1, [[255, 0, 0], [0, 0, 0]].concat())).unwrap();
        assert_eq!(answer, again);
    }

    #[test]
    fn a_frame_of_the_wrong_length_is_refused() {
        let status = score(rgb(2, 2, vec![0; 11])).unwrap_err();
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
