//! The admin listener: probes and metrics. Nothing here tells a secret, and nothing changes anything.
//!
//! Liveness is shallow on purpose: restarting the operator cures nothing that is wrong with the API server. A standby is
//! ready as well, since ready means that it could lead.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;
use crate::world::World;

/// How long answers that are under way may take at the end.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(2);

/// What the routes need.
#[derive(Clone)]
struct Admin {
    world: Arc<World>,
    metrics: Arc<Metrics>,
}

/// Serves until `stop`.
pub async fn serve(listener: TcpListener, world: Arc<World>, metrics: Arc<Metrics>, stop: CancellationToken) {
    let router = router(world, metrics);
    let until = stop.clone();
    let served = axum::serve(listener, router).with_graceful_shutdown(async move { until.cancelled().await });
    let deadline = async {
        stop.cancelled().await;
        tokio::time::sleep(DRAIN_TIMEOUT).await;
    };
    tokio::select! {
        // `axum::serve` ends by shutdown only.
        _ = served => {}
        () = deadline => {}
    }
}

fn router(world: Arc<World>, metrics: Arc<Metrics>) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(render))
        .with_state(Admin { world, metrics })
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    match admin.world.unlisted() {
        Some(titles) if titles.is_empty() => (StatusCode::OK, "ok\n".to_owned()),
        Some(titles) => {
            let titles = titles.into_iter().collect::<Vec<_>>().join(", ");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                format!("not listed yet: {titles}; the log says why\n"),
            )
        }
        None => (StatusCode::SERVICE_UNAVAILABLE, "starting\n".to_owned()),
    }
}

async fn render(State(admin): State<Admin>) -> Response {
    let mut response = Response::new(admin.metrics.render().into());
    let text = HeaderValue::from_static(prometheus::TEXT_FORMAT);
    response.headers_mut().insert(header::CONTENT_TYPE, text);
    response
}
