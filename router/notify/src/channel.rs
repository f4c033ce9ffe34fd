//! A channel: a name, what it wants, and the outlet that carries it there.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::event::Event;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::settings::ChannelKind;

/// What an attempt comes to.
pub(crate) type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One event for one receiver. Mail has several: a retry must not reach those who already have it.
#[derive(Clone, Debug)]
pub(crate) struct Parcel {
    pub(crate) event: Arc<Event>,
    /// Which of the outlet's receivers; outlets with one receiver have none.
    pub(crate) to: Option<Receiver>,
}

/// A mail address.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Receiver {
    pub(crate) address: lettre::Address,
    /// Whether the event concerns this person, who may then read all of it.
    pub(crate) personal: bool,
}

/// Addresses are not for logs.
impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("personal", &self.personal).finish_non_exhaustive()
    }
}

/// Carries events to their receivers. Each attempt has a deadline of its own.
pub(crate) trait Outlet: Send + Sync {
    /// Returns whom the event goes to.
    fn parcels(&self, event: &Arc<Event>) -> Vec<Parcel> {
        vec![Parcel { event: event.clone(), to: None }]
    }

    /// Tries once.
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Attempt<'a>;
}

/// Where events go: made from [`ChannelSettings`](crate::ChannelSettings).
#[derive(Clone)]
pub struct Channel {
    pub(crate) name: String,
    pub(crate) kind: ChannelKind,
    pub(crate) filter: Filter,
    pub(crate) outlet: Arc<dyn Outlet>,
}

impl Channel {
    pub(crate) fn new(name: String, kind: ChannelKind, filter: Filter, outlet: Arc<dyn Outlet>) -> Self {
        Self { name, kind, filter, outlet }
    }

    /// Returns the channel's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends an event now, once, whatever the channel wants: how an operator tries a channel.
    ///
    /// # Errors
    /// The first [`Failure`] of its receivers.
    pub async fn send(&self, event: Event) -> Result<(), Failure> {
        let parcels = self.outlet.parcels(&Arc::new(event));
        if parcels.is_empty() {
            return Err(Failure::never(
                "nobody receives it: neither the channel nor the event has addresses",
            ));
        }
        for parcel in parcels {
            self.outlet.deliver(&parcel).await?;
        }
        Ok(())
    }
}

/// Without the outlet, which knows secrets.
impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
