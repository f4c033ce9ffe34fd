//! What a route says of itself beside who serves it: its methods, and whether pages of browsers may ask it. The answers
//! to other methods and to preflights come from here, so that they say what is served.

use actix_web::dev::HttpServiceFactory;
use actix_web::http::Method;
use actix_web::web;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder};

use super::{passthrough, render};

/// What is offered at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Its methods, as `allow` lists them.
    pub(crate) methods: String,
    /// Whether pages may ask: for inference, and what its clients look up. Never for what administers.
    pub(crate) to_pages: bool,
}

impl Offer {
    /// Says that these methods are offered to whoever is no page.
    pub(crate) fn of<'a>(methods: impl Iterator<Item = &'a Method>) -> Self {
        Self { methods: methods.map(Method::as_str).collect::<Vec<_>>().join(", "), to_pages: false }
    }

    /// Returns what is offered where a request asks. Paths that are no routes of the gateway go on to a provider.
    pub(crate) fn at(request: &HttpRequest) -> Self {
        match request.app_data::<Self>() {
            Some(offer) => offer.clone(),
            None => Self { methods: passthrough::methods(), to_pages: request.match_pattern().is_none() },
        }
    }
}

/// A path with its methods, before it is registered.
pub(super) struct Offered {
    resource: Resource,
    methods: Vec<Method>,
    to_pages: bool,
}

impl Offered {
    /// Begins with a path that administers.
    pub(super) fn at(path: &str) -> Self {
        Self { resource: web::resource(path.to_owned()), methods: Vec::new(), to_pages: false }
    }

    /// Begins with a path that pages may ask.
    pub(super) fn to_pages(path: &str) -> Self {
        Self { to_pages: true, ..Self::at(path) }
    }

    /// Adds a method.
    pub(super) fn on<F, Args>(mut self, method: Method, serve: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.resource = self.resource.route(web::method(method.clone()).to(serve));
        self.methods.push(method);
        self
    }

    /// Adds a method that goes on to the provider that a header names; without one it is refused.
    pub(super) fn on_passed(mut self, method: Method) -> Self {
        let route = web::method(method.clone()).guard(passthrough::names_provider());
        self.resource = self.resource.route(route.to(passthrough::serve));
        self.methods.push(method);
        self
    }

    /// Returns it with the answer to any other method.
    pub(super) fn done(self) -> impl HttpServiceFactory + 'static {
        let offer = Offer { to_pages: self.to_pages, ..Offer::of(self.methods.iter()) };
        self.resource.app_data(offer).default_service(web::to(render::wrong_method))
    }
}
