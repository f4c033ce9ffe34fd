//! A body that is no JSON object: kept whole where it may be sent again, else streamed once.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tidegate_config::Plan;
use tokio::time::timeout;

use crate::error::{ErrorKind, GatewayError};
use crate::settings::Settings;
use crate::upstream::body::{OutBody, Upload, UploadFailure};

/// The body.
pub(in crate::pipeline) struct RawBody {
    kept: Mutex<Option<Kept>>,
    failure: Option<Arc<OnceLock<UploadFailure>>>,
}

enum Kept {
    Bytes(Bytes),
    Once(Upload),
}

impl RawBody {
    /// Makes one of bytes.
    pub(in crate::pipeline) fn bytes(bytes: Bytes) -> Self {
        Self { kept: Mutex::new(Some(Kept::Bytes(bytes))), failure: None }
    }

    /// Takes a streamed body. Where the plan may send it more than once it is read first, up to the limit of bodies.
    ///
    /// # Errors
    /// 413, 408 or 400, as for any body.
    pub(in crate::pipeline) async fn upload(
        upload: &Mutex<Option<Upload>>,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<Self, GatewayError> {
        let taken = upload.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut upload) = taken else { return Ok(Self::bytes(Bytes::new())) };
        let (limit, within) = (settings.limits.body_bytes, Duration::from_millis(settings.timeouts.body_ms));
        let targets = plan.targets();
        let once = targets.len() == 1 && targets.iter().all(|target| target.retry.is_none());
        if once {
            let failure = Some(upload.failure());
            return Ok(Self { kept: Mutex::new(Some(Kept::Once(upload))), failure });
        }
        let reading = async {
            let mut all = BytesMut::new();
            while let Some(piece) = upload.next().await {
                let piece = piece.map_err(|why| refusal(&why))?;
                if all.len() + piece.len() > limit {
                    let message = format!(
                        "The body exceeds the limit of {limit} bytes for configs with retries or several targets"
                    );
                    return Err(GatewayError::new(ErrorKind::TooLarge, message));
                }
                all.extend_from_slice(&piece);
            }
            Ok(all.freeze())
        };
        let late = || Err(refusal(&UploadFailure::Slow { ms: within.as_millis().try_into().unwrap_or(0) }));
        timeout(within, reading).await.unwrap_or_else(|_| late()).map(Self::bytes)
    }

    /// Returns the body for one attempt.
    ///
    /// # Errors
    /// When it was streamed and is gone.
    pub(super) fn send(&self) -> Result<OutBody, GatewayError> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.take() {
            Some(Kept::Bytes(bytes)) => {
                *kept = Some(Kept::Bytes(bytes.clone()));
                Ok(OutBody::Whole(bytes))
            }
            Some(Kept::Once(upload)) => Ok(OutBody::Upload(upload)),
            None => Err(GatewayError::new(ErrorKind::Bug, "a streamed body can't be sent twice")),
        }
    }

    /// Returns the client's fault, where it is why an attempt failed.
    pub(in crate::pipeline) fn fault(&self) -> Option<GatewayError> {
        self.failure.as_ref()?.get().map(refusal)
    }
}

fn refusal(why: &UploadFailure) -> GatewayError {
    let kind = match why {
        UploadFailure::TooLarge { .. } => ErrorKind::TooLarge,
        UploadFailure::Slow { .. } => ErrorKind::SlowBody,
        UploadFailure::Broken(_) => ErrorKind::Invalid,
    };
    let text = why.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase()).into_iter();
    GatewayError::new(kind, first.chain(letters).collect::<String>())
}
