//! Puts in force what a folder or the environment delivers, and tells the person at the terminal what each change brought.
//!
//! The first delivery must be servable, else the start fails: whoever starts a gateway over a folder is there to read why.
//! A later one that cannot be served leaves everything as it was.

use std::sync::Arc;

use headgate_snapshot::Snapshot;
use tokio::sync::watch;

use super::{Delivery, Source, Standing, StartError};
use crate::diagnostic::{self, Style};
use crate::gateway::Gateway;

/// A local source whose first delivery is in force.
pub struct Local {
    source: Source,
    first: Arc<Delivery>,
    gateway: Arc<Gateway>,
    style: Style,
    standing: watch::Sender<Arc<Standing>>,
}

impl Local {
    /// Puts the first delivery in force. `style` is how findings of later ones are drawn on standard error.
    pub fn start(source: Source, gateway: Arc<Gateway>, style: Style) -> Result<Self, StartError> {
        let first = Arc::clone(&source.deliveries().borrow());
        apply(&gateway, &first).map_err(|message| StartError {
            message,
            findings: first.findings.clone(),
        })?;
        let standing = watch::channel(Arc::new(standing(&first))).0;
        Ok(Self {
            source,
            first,
            gateway,
            style,
            standing,
        })
    }

    /// What came first, for the banner.
    pub fn first(&self) -> &Delivery {
        &self.first
    }

    /// What operations are told.
    pub fn standing(&self) -> watch::Receiver<Arc<Standing>> {
        self.standing.subscribe()
    }

    /// Follows the source; where nothing can change, for ever. May be dropped at any time.
    pub async fn run(self) {
        let deliveries = self.source.deliveries();
        let reloading = reload(self.gateway, deliveries, self.style, self.standing);
        tokio::join!(self.source.keep_current(), reloading);
        std::future::pending::<()>().await;
    }
}

fn standing(delivery: &Delivery) -> Standing {
    Standing {
        is_kept_from_before: delivery.is_kept_from_before,
        findings: delivery.findings.clone(),
        cluster: None,
    }
}

fn apply(gateway: &Gateway, delivery: &Delivery) -> Result<(), String> {
    let snapshot = Snapshot::clone(&delivery.snapshot);
    let prepared = gateway
        .prepare(snapshot, delivery.version.clone(), &delivery.sealing_key)
        .map_err(|error| format!("the snapshot cannot be served: {error}"))?;
    gateway.swap(prepared);
    Ok(())
}

async fn reload(
    gateway: Arc<Gateway>,
    mut deliveries: watch::Receiver<Arc<Delivery>>,
    style: Style,
    standings: watch::Sender<Arc<Standing>>,
) {
    let mut findings = deliveries.borrow_and_update().findings.clone();
    while deliveries.changed().await.is_ok() {
        let delivery = Arc::clone(&deliveries.borrow_and_update());
        standings.send_replace(Arc::new(standing(&delivery)));
        if delivery.findings != findings {
            findings.clone_from(&delivery.findings);
            eprint!("{}", diagnostic::render(&findings, style));
        }
        if delivery.is_kept_from_before {
            gateway.metrics.reloaded("unreadable");
            tracing::warn!(
                version = delivery.version,
                "the manifests cannot be loaded; the last good ones stay in force"
            );
            continue;
        }
        match apply(&gateway, &delivery) {
            Ok(()) => tracing::info!(version = delivery.version, "reloaded"),
            Err(error) => tracing::error!(
                version = delivery.version,
                error,
                "the last good snapshot stays in force"
            ),
        }
    }
}
