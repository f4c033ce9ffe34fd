//! The plain proxy of our own: hyper in front, hyper's pool behind, bodies passed on as they come. What any gateway on
//! hyper costs at least.

use std::convert::Infallible;
use std::io;

use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

type Body = BoxBody<Bytes, hyper::Error>;

/// Serves for ever on a free port of loopback; prints where it listens.
pub(crate) async fn serve(upstream: String) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on {}", listener.local_addr()?);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new()).build(connector);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (client, upstream) = (client.clone(), upstream.clone());
        tokio::task::spawn_local(async move {
            let service = service_fn(|request| pass(&client, &upstream, request));
            // A client that leaves is no error.
            let _left = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass(
    client: &Client<HttpConnector, Incoming>,
    upstream: &str,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let Ok(uri) = format!("http://{upstream}{path}").parse::<Uri>() else {
        return Ok(failure(400, "no such path"));
    };
    *request.uri_mut() = uri;
    request.headers_mut().remove("host");
    match client.request(request).await {
        Ok(answer) => Ok(answer.map(BodyExt::boxed)),
        Err(error) => Ok(failure(502, &error.to_string())),
    }
}

fn failure(status: u16, text: &str) -> Response<Body> {
    let body = Full::new(Bytes::copy_from_slice(text.as_bytes())).map_err(|never| match never {});
    let mut answer = Response::new(body.boxed());
    *answer.status_mut() = status.try_into().unwrap_or_default();
    answer
}
