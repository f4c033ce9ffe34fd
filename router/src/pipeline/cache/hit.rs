//! Answers with an entry. The key is asked as for any request: whether it works, what it may do, how often. Money is
//! neither held nor paid, so that an empty budget is no hindrance.

use std::sync::Arc;

use bytes::Bytes;
use tidegate_config::Cache;
use tidegate_providers::Endpoint;

use super::kept::KeptStream;
use super::lookup::Seen;
use super::record::GUARDED;
use super::replay::Replay;
use crate::cache::{Entry, Status};
use crate::clock;
use crate::pipeline::admit::admit_key;
use crate::pipeline::attempt_row::Share;
use crate::pipeline::docket::Docket;
use crate::pipeline::guard::{Early, HookResults, results_frame};
use crate::pipeline::request::{About, Answer, AnswerBody};
use crate::pipeline::route::Trip;
use crate::pipeline::tried::Failure;
use crate::pipeline::whole::with_results;

impl Trip<'_> {
    /// Answers with an entry.
    ///
    /// # Errors
    /// A denial of guards that still judged, or the key's refusal.
    pub(super) async fn hit(
        &self,
        entry: Arc<Entry>,
        (status, cache): (Status, &Cache),
        seen: &Seen<'_>,
        early: &Early<'_>,
        docket: &Docket,
    ) -> Result<Answer, Failure> {
        let results = match early {
            Early::Ready(results) => results.clone(),
            Early::Running(verdict) => verdict.clone().await.map_err(Failure::upstream)?,
        };
        let route = seen.route;
        let attempt = docket.begin(route, 0, seen.shape);
        let admitted = admit_key(&self.caller.key, docket, &route.provider.record().slug, &route.model).await;
        let views = match admitted {
            Ok(views) => views,
            Err(no) => {
                attempt.refused(&no.error);
                return Err(Failure { error: no.error, reach: no.reach });
            }
        };
        let saved = entry.cost_nano_usd.unwrap_or(0);
        self.gateway.cache.count(status, saved);
        let code = if results.failed() { 246 } else { 200 };
        docket.kept(status.word(), saved);
        let first_byte_us = u64::try_from(self.request.started.elapsed().as_micros()).ok();
        attempt.note(Share { outcome: "ok", status: code, first_byte_us, ..Share::default() });
        let age_s = clock::unix_ms().saturating_sub(entry.made_ms).max(0) / 1_000;
        let mut headers = vec![
            ("content-type".to_owned(), entry.content_type.to_string()),
            ("age".to_owned(), age_s.to_string()),
        ];
        if !entry.guarded.is_empty() {
            headers.push((GUARDED.to_owned(), entry.guarded.to_string()));
        }
        let about = About {
            provider: Some(route.provider.vendor().slug()),
            option_index: route.option_index.clone(),
            views,
            cache: Some(status.word()),
            ..About::default()
        };
        let body = if entry.pieces.is_some() {
            let prelude = self.prelude(&results, route.strict);
            let replay = Replay::new(entry, prelude, docket.clone(), cache.replay);
            AnswerBody::Kept(Box::new(KeptStream::Replayed(replay)))
        } else {
            let shown = (!results.is_empty()).then(|| with_results(&entry.body, results.text()));
            // What is no object is shown as it is kept.
            AnswerBody::Whole(shown.and_then(Result::ok).unwrap_or_else(|| entry.body.clone()))
        };
        Ok(Answer { status: code, headers, about, body })
    }

    /// Returns what a stream begins with: what guards before this request said, for clients that may see it.
    fn prelude(&self, results: &HookResults, strict: bool) -> Bytes {
        if strict || !results.has_before() {
            return Bytes::new();
        }
        results_frame(results, true, self.request.endpoint == Endpoint::Messages)
    }
}
