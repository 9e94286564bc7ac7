//! What Prometheus sees. Names and labels of `llm_*` are fixed by what people already search for; ours begin `headgate_`.
//!
//! Looking a label set up costs a hash over strings, so the counters of a backend are resolved once when a runtime is
//! prepared ([`BackendMetrics`]) and a request only adds to them. Label values come from the configuration, never from a
//! caller: undeclared models share the label `other`.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    CounterVec, Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::account::price::NanoUsd;

/// Seconds; 0.1 to 60 are what existing dashboards expect, the finer ones show what the gateway itself adds.
const DURATION_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// Statuses whose counters are kept at hand; others are looked up.
const COMMON_STATUSES: [u16; 16] = [
    200, 400, 401, 403, 404, 408, 413, 415, 422, 429, 499, 500, 502, 503, 504, 529,
];

/// All metrics of one gateway.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    duration_seconds: HistogramVec,
    cost_usd: CounterVec,
    tokens: IntCounterVec,
    unpriced: IntCounterVec,
    upstream_attempts: IntCounterVec,
    refusals: IntCounterVec,
    reloads: IntCounterVec,
    /// Requests that are being served.
    pub in_flight: IntGauge,
    /// Open connections of clients.
    pub connections: IntGauge,
    /// When the running snapshot came into force, Unix seconds.
    pub snapshot_loaded_timestamp: IntGauge,
    /// Virtual keys in force.
    pub virtual_keys: IntGauge,
    /// Panics that were caught: each cost one request, and each is a defect.
    pub panics: IntCounter,
}

impl Metrics {
    /// Registers all metrics in a registry of their own.
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, labels: &[&str]| {
            register(&registry, IntCounterVec::new(Opts::new(name, help), labels))
        };
        let counter = |name: &str, help: &str| register(&registry, IntCounter::new(name, help));
        let gauge = |name: &str, help: &str| register(&registry, IntGauge::new(name, help));
        Self {
            requests: counters(
                "llm_requests_total",
                "Requests by outcome.",
                &["provider", "model", "status"],
            ),
            duration_seconds: register(
                &registry,
                HistogramVec::new(
                    HistogramOpts::new(
                        "llm_request_duration_seconds",
                        "From the request's head to the answer's last byte.",
                    )
                    .buckets(DURATION_BUCKETS.to_vec()),
                    &["provider", "model"],
                ),
            ),
            cost_usd: register(
                &registry,
                CounterVec::new(
                    Opts::new("llm_cost_total_usd", "Cost of answered requests."),
                    &["provider", "model"],
                ),
            ),
            tokens: counters("llm_tokens_total", "Tokens used.", &["provider", "model", "type"]),
            unpriced: counters(
                "headgate_unpriced_requests_total",
                "Requests whose model has no price, so their cost is not in llm_cost_total_usd.",
                &["provider", "model"],
            ),
            upstream_attempts: counters(
                "headgate_upstream_attempts_total",
                "Calls to providers by outcome, retries included.",
                &["provider", "outcome"],
            ),
            refusals: counters(
                "headgate_refusals_total",
                "Requests that were refused, by code.",
                &["code"],
            ),
            reloads: counters(
                "headgate_reloads_total",
                "Snapshots by what became of them.",
                &["result"],
            ),
            in_flight: gauge("headgate_in_flight_requests", "Requests that are being served."),
            connections: gauge("headgate_connections", "Open connections of clients."),
            snapshot_loaded_timestamp: gauge(
                "headgate_snapshot_loaded_timestamp_seconds",
                "When the running snapshot came into force.",
            ),
            virtual_keys: gauge("headgate_virtual_keys", "Virtual keys in force."),
            panics: counter(
                "headgate_panics_total",
                "Panics that were caught; each cost one request.",
            ),
            registry,
        }
    }

    /// The counters of one backend. `model` is a declared name or `other`.
    pub fn backend(&self, provider: &str, model: &str) -> BackendMetrics {
        let labels = [provider, model];
        BackendMetrics {
            requests: self.requests.clone(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            by_status: std::array::from_fn(|_| OnceLock::new()),
            duration_seconds: self.duration_seconds.with_label_values(&labels),
            cost_usd: OnceLock::new(),
            cost_usd_all: self.cost_usd.clone(),
            input_tokens: self.tokens.with_label_values(&[provider, model, "input"]),
            output_tokens: self.tokens.with_label_values(&[provider, model, "output"]),
            unpriced: self.unpriced.clone(),
        }
    }

    /// Counts calls to one provider that brought an answer.
    pub fn answered_attempts(&self, provider: &str) -> IntCounter {
        self.upstream_attempts.with_label_values(&[provider, "answered"])
    }

    /// Counts a call to a provider that failed.
    pub fn failed_attempt(&self, provider: &str, failure: &'static str) {
        self.upstream_attempts.with_label_values(&[provider, failure]).inc();
    }

    /// Counts a refusal by its code.
    pub fn refused(&self, code: &str) {
        self.refusals.with_label_values(&[code]).inc();
    }

    /// Counts a request that ended before a backend was known.
    pub fn request_without_backend(&self, status: u16) {
        self.requests
            .with_label_values(&["none", "none", itoa::Buffer::new().format(status)])
            .inc();
    }

    /// Counts a snapshot: `applied`, `refused` or `unreadable`.
    pub fn reloaded(&self, result: &'static str) {
        self.reloads.with_label_values(&[result]).inc();
    }

    /// The metrics of following a cluster, which are there only where one is followed. To be called once.
    pub fn delivery(&self) -> DeliveryMetrics {
        let gauge = |name: &str, help: &str| register(&self.registry, IntGauge::new(name, help));
        let counters = |name: &str, help: &str, label: &str| {
            register(&self.registry, IntCounterVec::new(Opts::new(name, help), &[label]))
        };
        DeliveryMetrics {
            sequence: gauge(
                "headgate_snapshot_sequence",
                "Number of the published snapshot that is served; 0 before the first.",
            ),
            is_refusing: gauge(
                "headgate_snapshot_refusing",
                "1 while the newest published snapshot is refused and an older one is served.",
            ),
            refused: counters(
                "headgate_snapshot_refused_total",
                "Published snapshots that were refused, by reason.",
                "reason",
            ),
            api_last_contact_timestamp: gauge(
                "headgate_api_server_last_contact_timestamp_seconds",
                "When the API server answered last; time() less this is how long it has been away.",
            ),
            api_errors: counters(
                "headgate_api_server_errors_total",
                "Calls to the API server that failed, by what they were for.",
                "operation",
            ),
        }
    }

    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let mut text = Vec::with_capacity(16 * 1024);
        TextEncoder::new()
            .encode(&self.registry.gather(), &mut text)
            .expect("the text encoder writes to memory");
        text
    }
}

/// What is counted while a cluster is followed.
#[derive(Clone)]
pub struct DeliveryMetrics {
    /// The number of the generation that is served.
    pub sequence: IntGauge,
    /// 1 while the newest head is refused.
    pub is_refusing: IntGauge,
    refused: IntCounterVec,
    /// Unix seconds.
    pub api_last_contact_timestamp: IntGauge,
    api_errors: IntCounterVec,
}

impl DeliveryMetrics {
    /// Counts a head that was refused. `reason` is one of a closed set.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }

    /// Counts a call to the API server that failed. `operation` is one of a closed set.
    pub fn api_error(&self, operation: &'static str) {
        self.api_errors.with_label_values(&[operation]).inc();
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

fn register<C: Collector + Clone + 'static>(registry: &Registry, collector: prometheus::Result<C>) -> C {
    let collector = collector.expect("names and labels are literals that fit");
    registry
        .register(Box::new(collector.clone()))
        .expect("each name is registered once");
    collector
}

/// The resolved counters of one provider and model.
pub struct BackendMetrics {
    requests: IntCounterVec,
    provider: String,
    model: String,
    by_status: [OnceLock<IntCounter>; COMMON_STATUSES.len()],
    duration_seconds: Histogram,
    cost_usd: OnceLock<prometheus::Counter>,
    cost_usd_all: CounterVec,
    input_tokens: IntCounter,
    output_tokens: IntCounter,
    unpriced: IntCounterVec,
}

impl BackendMetrics {
    /// The label of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Counts one finished request.
    pub fn finished(&self, status: u16, took: Duration) {
        match COMMON_STATUSES.iter().position(|&common| common == status) {
            Some(index) => self.by_status[index].get_or_init(|| self.requests_of(status)).inc(),
            None => self.requests_of(status).inc(),
        }
        self.duration_seconds.observe(took.as_secs_f64());
    }

    /// Counts tokens, and their cost: `None` is a model without a price, never zero.
    pub fn used(&self, input_tokens: u64, output_tokens: u64, cost: Option<NanoUsd>) {
        self.input_tokens.inc_by(input_tokens);
        self.output_tokens.inc_by(output_tokens);
        let labels = [&*self.provider, &*self.model];
        match cost {
            Some(cost) => {
                self.cost_usd
                    .get_or_init(|| self.cost_usd_all.with_label_values(&labels))
                    .inc_by(cost.as_usd_f64());
            }
            None => self.unpriced.with_label_values(&labels).inc(),
        }
    }

    fn requests_of(&self, status: u16) -> IntCounter {
        self.requests
            .with_label_values(&[&self.provider, &self.model, itoa::Buffer::new().format(status)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_is_counted_under_the_names_that_dashboards_search() {
        let metrics = Metrics::new();
        let backend = metrics.backend("openai", "gpt-5-mini");
        backend.finished(200, Duration::from_millis(300));
        backend.finished(418, Duration::from_millis(300));
        backend.used(12, 34, Some(NanoUsd(2_500_000_000)));
        let text = String::from_utf8(metrics.render()).expect("text");
        for line in [
            r#"llm_requests_total{model="gpt-5-mini",provider="openai",status="200"} 1"#,
            r#"llm_requests_total{model="gpt-5-mini",provider="openai",status="418"} 1"#,
            r#"llm_request_duration_seconds_bucket{model="gpt-5-mini",provider="openai",le="0.5"} 2"#,
            r#"llm_cost_total_usd{model="gpt-5-mini",provider="openai"} 2.5"#,
            r#"llm_tokens_total{model="gpt-5-mini",provider="openai",type="input"} 12"#,
            r#"llm_tokens_total{model="gpt-5-mini",provider="openai",type="output"} 34"#,
        ] {
            assert!(text.contains(line), "no line {line} in\n{text}");
        }
    }

    #[test]
    fn a_model_without_a_price_is_counted_as_such_and_not_as_free() {
        let metrics = Metrics::new();
        metrics.backend("local", "other").used(1, 1, None);
        let text = String::from_utf8(metrics.render()).expect("text");
        assert!(
            text.contains(r#"headgate_unpriced_requests_total{model="other",provider="local"} 1"#),
            "{text}"
        );
        assert!(!text.contains("llm_cost_total_usd{"), "{text}");
    }
}
