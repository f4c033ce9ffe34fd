//! Looks for an entry: the same request's, then that of equal requests in flight, then that of one that means the same.

use std::sync::Arc;
use std::time::Duration;

use tidegate_config::{Cache, CacheMode, Target};
use tidegate_providers::Fields;
use tokio::time::timeout;

use super::compared;
use super::identity::{Identity, tenant};
use super::wish::Wish;
use crate::cache::{Digest, Digester, Entry, Joined, Key, Lead, Stage, Status};
use crate::clock;
use crate::gateway::Gateway;
use crate::pipeline::docket::Docket;
use crate::pipeline::encode::Payload;
use crate::pipeline::guard::{Early, Guards};
use crate::pipeline::request::Answer;
use crate::pipeline::resolve::Route;
use crate::pipeline::route::Trip;
use crate::pipeline::shape::Shape;
use crate::pipeline::tried::Failure;
use tidegate_providers::Endpoint;

/// Equal requests wait for the first so long; then they ask themselves.
const FOLLOW: Duration = Duration::from_secs(60);

/// A request as a target makes it.
pub(in crate::pipeline) struct Seen<'a> {
    pub(in crate::pipeline) target: &'a Target,
    pub(in crate::pipeline) route: &'a Route,
    pub(in crate::pipeline) shape: &'a Shape,
    pub(in crate::pipeline) payload: &'a Payload<'a>,
    pub(in crate::pipeline) guards: Option<&'a Guards>,
}

/// What looking came to.
pub(in crate::pipeline) enum Looked {
    /// Nothing is kept or found for this request.
    Off,
    /// An entry answers, unless guards or the key refuse.
    Hit(Box<Result<Answer, Failure>>, &'static str),
    /// The vendor must be asked; its answer may be kept.
    Watch(Box<Watch>),
}

/// Waits for an answer to keep.
pub(in crate::pipeline) struct Watch {
    pub(super) gateway: Arc<Gateway>,
    pub(super) key: Key,
    pub(super) endpoint: Endpoint,
    pub(super) age: Duration,
    pub(super) status: Status,
    pub(super) epoch: u64,
    /// Whether guards may have added to the answer.
    pub(super) guarded: bool,
    /// The duty towards equal requests.
    pub(super) lead: Option<Lead>,
    /// Where the vector of its text belongs.
    pub(super) place: Option<Place>,
}

/// A vector and its partition.
pub(super) type Place = (Digest, Arc<[f32]>);

/// What comparing texts came to.
enum Alike {
    /// There is nothing to compare, or nothing to compare with.
    Unfit,
    Found(Arc<Entry>),
    Strange(Option<Place>),
}

impl Trip<'_> {
    /// Looks for an entry for a target that wants it.
    pub(in crate::pipeline) async fn cached(
        &self,
        cache: &Cache,
        seen: &Seen<'_>,
        early: &Early<'_>,
        docket: &Docket,
    ) -> Looked {
        let kept = &self.gateway.cache;
        let settings = kept.settings();
        let Payload::Json(fields) = seen.payload else { return Looked::Off };
        let Some(wish) = Wish::of(cache, self.request, settings.max_age).filter(|_| is_settled(fields))
        else {
            return Looked::Off;
        };
        let identity = Identity {
            tenant: tenant(settings.scope, &self.caller.record),
            request: self.request,
            target: seen.target,
            route: seen.route,
            shape: seen.shape,
            fields,
            guards: seen.guards,
        };
        let Some((frame, key)) =
            identity.frame().and_then(|frame| identity.key(&frame).map(|key| (frame, key)))
        else {
            return Looked::Off;
        };
        // What is purged while the vendor answers stays purged.
        let epoch = kept.epoch();
        let mut lead = None;
        let mut found = None;
        if !wish.refresh {
            found = self.fresh(&key, &wish).await;
            if found.is_none() && cache.single_flight {
                (found, lead) = self.follow(&key, &wish).await;
            }
        }
        let mut status = if wish.refresh { Status::Refresh } else { Status::Miss };
        let mut place = None;
        if let Some(entry) = found {
            return self.found(entry, (Status::Hit, cache), seen, early, docket).await;
        }
        if cache.mode == CacheMode::Semantic {
            match self.alike(cache, &identity, &frame, &wish).await {
                Alike::Unfit => {}
                Alike::Found(entry) => {
                    if let Some(lead) = lead {
                        // Followers look for texts that are alike themselves.
                        lead.end(Stage::Failed);
                    }
                    return self.found(entry, (Status::SemanticHit, cache), seen, early, docket).await;
                }
                Alike::Strange(its_place) => {
                    place = its_place;
                    status = if wish.refresh { Status::Refresh } else { Status::SemanticMiss };
                }
            }
        }
        kept.count(status, 0);
        docket.note_cache(status.word());
        Looked::Watch(Box::new(Watch {
            gateway: self.gateway.clone(),
            key,
            endpoint: self.request.endpoint,
            age: wish.age,
            status,
            epoch,
            guarded: seen.guards.is_some(),
            lead,
            place,
        }))
    }

    async fn found(
        &self,
        entry: Arc<Entry>,
        (status, cache): (Status, &Cache),
        seen: &Seen<'_>,
        early: &Early<'_>,
        docket: &Docket,
    ) -> Looked {
        let answer = self.hit(entry, (status, cache), seen, early, docket).await;
        Looked::Hit(Box::new(answer), status.word())
    }

    /// Returns an entry that is no older than wished.
    async fn fresh(&self, key: &Key, wish: &Wish) -> Option<Arc<Entry>> {
        let entry = self.gateway.cache.get(key).await?;
        let age_ms = clock::unix_ms().saturating_sub(entry.made_ms);
        (age_ms < i64::try_from(wish.age.as_millis()).unwrap_or(i64::MAX)).then_some(entry)
    }

    /// Waits for an equal request that asks already. Returns what it kept, or the duty to be that request, or nothing:
    /// then everybody asks for themselves.
    async fn follow(&self, key: &Key, wish: &Wish) -> (Option<Arc<Entry>>, Option<Lead>) {
        loop {
            match self.gateway.cache.join(key.digest) {
                Joined::Lead(lead) => {
                    // Another one may have ended between the look and the lead.
                    return match self.fresh(key, wish).await {
                        Some(entry) => {
                            lead.end(Stage::Kept);
                            (Some(entry), None)
                        }
                        None => (None, Some(lead)),
                    };
                }
                Joined::Follow(mut stage) => {
                    let ended = stage.wait_for(|stage| *stage != Stage::Running);
                    let ended = timeout(FOLLOW, ended).await;
                    match ended.ok().and_then(Result::ok).map(|stage| *stage) {
                        Some(Stage::Kept) => return (self.fresh(key, wish).await, None),
                        // Its client left, which says nothing about the vendor: the next one leads.
                        Some(Stage::Left) => {}
                        _ => return (None, None),
                    }
                }
            }
        }
    }

    /// Looks for the entry of a text that means the same.
    async fn alike(&self, cache: &Cache, identity: &Identity<'_>, frame: &Digester, wish: &Wish) -> Alike {
        let kept = &self.gateway.cache;
        let settings = kept.settings();
        let Some(model) = cache.embedding.as_deref().or(settings.embedding_model.as_deref()) else {
            return Alike::Unfit;
        };
        let Some((text, rest)) = compared::take(self.request.endpoint, identity.fields) else {
            return Alike::Unfit;
        };
        let Some(partition) = identity.partition(frame, &rest, model) else { return Alike::Unfit };
        let vector: Arc<[f32]> = match self.embed(model, &text).await {
            Ok(vector) => vector.into(),
            Err(error) => {
                tracing::warn!(model, error, "a text could not be compared: the vendor is asked");
                return Alike::Strange(None);
            }
        };
        if !wish.refresh {
            for (key, likeness) in kept.nearest(partition, vector.clone(), cache.threshold).await {
                match self.fresh(&key, wish).await {
                    Some(entry) => {
                        tracing::debug!(likeness, "a text means the same");
                        return Alike::Found(entry);
                    }
                    None => kept.displace(&partition, &key),
                }
            }
        }
        Alike::Strange(Some((partition, vector)))
    }
}

/// Returns whether the same request gets the same kind of answer again: not one that adds to a conversation which the
/// vendor keeps, nor one that is worked on later.
fn is_settled(fields: &Fields<'_>) -> bool {
    !fields.has("conversation") && fields.raw("background") != Some("true")
}
