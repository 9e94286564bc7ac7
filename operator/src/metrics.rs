//! What Prometheus sees of the operator. The names of controller-runtime, client-go and its queue are kept, so that the
//! dashboards that people have show this operator as well; ours begin `headgate_operator_`.
//!
//! There is one controller and one queue, since the world is compiled whole: both are called `headgate`.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

/// The value of the labels `controller` and `name`.
const CONTROLLER: &str = "headgate";

/// Seconds from an answer within a millisecond to one that takes the whole deadline.
const SECONDS_BUCKETS: [f64; 13] = [
    0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0,
];
/// Seconds from what people applied to what they are served; the goal is one.
const PROGRAMMED_BUCKETS: [f64; 12] = [0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 5.0, 15.0, 60.0, 300.0];

/// All metrics of one operator.
pub struct Metrics {
    registry: Registry,
    /// `controller_runtime_reconcile_total` by `result` (success, error).
    pub reconciles: IntCounterVec,
    /// `controller_runtime_reconcile_errors_total`.
    pub reconcile_errors: IntCounter,
    /// `controller_runtime_terminal_reconcile_errors_total`: none is terminal, each is tried again.
    pub terminal_reconcile_errors: IntCounter,
    /// `controller_runtime_reconcile_panics_total`: each is a defect.
    pub reconcile_panics: IntCounter,
    /// `controller_runtime_reconcile_timeouts_total`.
    pub reconcile_timeouts: IntCounter,
    /// `controller_runtime_reconcile_time_seconds`.
    pub reconcile_seconds: Histogram,
    /// `controller_runtime_active_workers`.
    pub active_workers: IntGauge,
    /// `workqueue_depth`: kinds of work that wait (intent, acks).
    pub queue_depth: IntGauge,
    /// `workqueue_adds_total`: changes that mattered.
    pub queue_adds: IntCounter,
    /// `workqueue_retries_total`.
    pub queue_retries: IntCounter,
    /// `workqueue_queue_duration_seconds`: from a change to the work it causes, the debounce included.
    pub queue_seconds: Histogram,
    /// `workqueue_work_duration_seconds`.
    pub work_seconds: Histogram,
    unfinished_work_seconds: Gauge,
    longest_running_seconds: Gauge,
    /// Since when the work under way runs; there is one worker.
    working_since: Mutex<Option<Instant>>,
    /// `leader_election_master_status`: 1 while leading.
    pub is_leader: IntGauge,
    /// `rest_client_requests_total` by `code` (`<error>` without an answer), `method`, `host`.
    pub requests: IntCounterVec,
    /// `rest_client_request_duration_seconds` by `verb`, `host`: to the head of the answer.
    pub request_seconds: HistogramVec,
    /// Errors of watches, by the kind watched.
    pub watch_errors: IntCounterVec,
    /// Objects that could not be read, by kind: this operator is older than the CRDs.
    pub unreadable_objects: IntCounterVec,
    /// The sequence last published.
    pub snapshot_sequence: IntGauge,
    /// Bytes of the published snapshot.
    pub snapshot_bytes: IntGauge,
    /// Shards of the published snapshot.
    pub snapshot_shards: IntGauge,
    /// Records of the published snapshot.
    pub snapshot_records: IntGauge,
    /// Seconds that a compile took.
    pub compile_seconds: Histogram,
    /// Objects by `kind` and `verdict` (ready, progressing, stalled).
    pub objects: IntGaugeVec,
    /// Data-plane pods by `state` (serving, lagging, refused, silent).
    pub data_planes: IntGaugeVec,
    /// Seconds from a change to `Programmed=True`.
    pub programmed_seconds: Histogram,
    /// Objects whose removal is held by the guard.
    pub removals_held: IntGauge,
    /// 1 while nothing is published until a person mends something.
    pub not_publishing: IntGauge,
    /// Writes by `object` (pointer, shard, status, secret, event, lease).
    pub writes: IntCounterVec,
}

impl Metrics {
    /// Registers all metrics in a registry of their own.
    pub fn new() -> Self {
        let all = Registrar {
            registry: Registry::new(),
        };
        let metrics = Self {
            reconciles: all.counters(
                "controller_runtime_reconcile_total",
                "Reconciles by result.",
                &["result"],
            ),
            reconcile_errors: all.counter("controller_runtime_reconcile_errors_total", "Reconciles that failed."),
            terminal_reconcile_errors: all.counter(
                "controller_runtime_terminal_reconcile_errors_total",
                "Reconciles that failed and are not tried again.",
            ),
            reconcile_panics: all.counter("controller_runtime_reconcile_panics_total", "Panics that were caught."),
            reconcile_timeouts: all.counter(
                "controller_runtime_reconcile_timeouts_total",
                "Reconciles that took too long and were given up.",
            ),
            reconcile_seconds: all.seconds("controller_runtime_reconcile_time_seconds", "Time of a reconcile."),
            active_workers: all.gauge("controller_runtime_active_workers", "Reconciles that run."),
            queue_depth: all.queue_gauge("workqueue_depth", "Kinds of work that wait."),
            queue_adds: all.queue_counter("workqueue_adds_total", "Changes that mattered."),
            queue_retries: all.queue_counter("workqueue_retries_total", "Work that is tried again."),
            queue_seconds: all.queue_seconds("workqueue_queue_duration_seconds", "From a change to its work."),
            work_seconds: all.queue_seconds("workqueue_work_duration_seconds", "Time of the work."),
            unfinished_work_seconds: all.queue_level(
                "workqueue_unfinished_work_seconds",
                "Time of the work that is not finished.",
            ),
            longest_running_seconds: all.queue_level(
                "workqueue_longest_running_processor_seconds",
                "Time of the longest work that is not finished.",
            ),
            working_since: Mutex::new(None),
            is_leader: all.queue_gauge("leader_election_master_status", "1 while this operator leads."),
            requests: all.client_counters(
                "rest_client_requests_total",
                "Requests to the API server.",
                &["code", "method", "host"],
            ),
            request_seconds: all.histograms(
                "rest_client_request_duration_seconds",
                "From a request to the head of its answer.",
                &["verb", "host"],
            ),
            watch_errors: all.client_counters("headgate_operator_watch_errors_total", "Errors of watches.", &["kind"]),
            unreadable_objects: all.client_counters(
                "headgate_operator_unreadable_objects_total",
                "Objects that this version cannot read.",
                &["kind"],
            ),
            snapshot_sequence: all.own_gauge("headgate_operator_snapshot_sequence", "Sequence last published."),
            snapshot_bytes: all.own_gauge("headgate_operator_snapshot_bytes", "Bytes of the published snapshot."),
            snapshot_shards: all.own_gauge("headgate_operator_snapshot_shards", "Shards of the published snapshot."),
            snapshot_records: all.own_gauge(
                "headgate_operator_snapshot_records",
                "Records of the published snapshot.",
            ),
            compile_seconds: all.own_seconds(
                "headgate_operator_compile_seconds",
                "Time of a compile.",
                &SECONDS_BUCKETS,
            ),
            objects: all.gauges(
                "headgate_operator_objects",
                "Objects by what became of them.",
                &["kind", "verdict"],
            ),
            data_planes: all.gauges("headgate_operator_data_planes", "Data-plane pods by state.", &["state"]),
            programmed_seconds: all.own_seconds(
                "headgate_operator_programmed_seconds",
                "From a change to every ready data plane serving it.",
                &PROGRAMMED_BUCKETS,
            ),
            removals_held: all.own_gauge(
                "headgate_operator_removals_held",
                "Keys and routes whose removal waits for approval.",
            ),
            not_publishing: all.own_gauge(
                "headgate_operator_not_publishing",
                "1 while nothing can be published until a person mends something.",
            ),
            writes: all.client_counters(
                "headgate_operator_writes_total",
                "Writes to the API server.",
                &["object"],
            ),
            registry: all.registry.clone(),
        };
        // Constant, and expected by dashboards.
        all.gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Reconciles that may run at once.",
        )
        .set(1);
        for result in ["success", "error"] {
            metrics.reconciles.with_label_values(&[result]);
        }
        metrics
    }

    /// Counts a request to the API server. `code` is `<error>` where no answer came, as client-go has it.
    pub fn record_request(&self, method: &str, host: &str, code: &str, duration: Duration) {
        self.requests.with_label_values(&[code, method, host]).inc();
        self.request_seconds
            .with_label_values(&[method, host])
            .observe(duration.as_secs_f64());
    }

    /// The one worker begins.
    pub fn work_starts(&self) {
        *self.working_since() = Some(Instant::now());
        self.active_workers.set(1);
    }

    /// The one worker is done, with whatever outcome, and worked for so long.
    pub fn work_ends(&self) -> Duration {
        let since = self.working_since().take();
        let worked = since.map(|since| since.elapsed()).unwrap_or_default();
        self.active_workers.set(0);
        self.work_seconds.observe(worked.as_secs_f64());
        worked
    }

    fn working_since(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.working_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All of it in Prometheus' text format.
    pub fn render(&self) -> Vec<u8> {
        let unfinished = self.working_since().map_or(0.0, |since| since.elapsed().as_secs_f64());
        self.unfinished_work_seconds.set(unfinished);
        self.longest_running_seconds.set(unfinished);
        let mut text = Vec::new();
        // Writing to memory fails only on a metric without a name.
        let _ = TextEncoder::new().encode(&self.registry.gather(), &mut text);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// Makes and registers; the families differ in the constant label that their readers expect.
struct Registrar {
    registry: Registry,
}

impl Registrar {
    fn add<C: Collector + Clone + 'static>(&self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("names and labels are constants that Prometheus allows");
        self.registry
            .register(Box::new(metric.clone()))
            .expect("each name is registered once");
        metric
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(
            Opts::new(name, help).const_label("controller", CONTROLLER),
            labels,
        ))
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(
            Opts::new(name, help).const_label("controller", CONTROLLER),
        ))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::with_opts(
            Opts::new(name, help).const_label("controller", CONTROLLER),
        ))
    }

    fn seconds(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(SECONDS_BUCKETS.to_vec());
        self.add(Histogram::with_opts(options.const_label("controller", CONTROLLER)))
    }

    fn queue_counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::with_opts(
            Opts::new(name, help).const_label("name", CONTROLLER),
        ))
    }

    fn queue_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::with_opts(
            Opts::new(name, help).const_label("name", CONTROLLER),
        ))
    }

    fn queue_level(&self, name: &str, help: &str) -> Gauge {
        self.add(Gauge::with_opts(Opts::new(name, help).const_label("name", CONTROLLER)))
    }

    fn queue_seconds(&self, name: &str, help: &str) -> Histogram {
        let options = HistogramOpts::new(name, help).buckets(SECONDS_BUCKETS.to_vec());
        self.add(Histogram::with_opts(options.const_label("name", CONTROLLER)))
    }

    fn client_counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels))
    }

    fn histograms(&self, name: &str, help: &str, labels: &[&str]) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(SECONDS_BUCKETS.to_vec());
        self.add(HistogramVec::new(options, labels))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels))
    }

    fn own_gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help))
    }

    fn own_seconds(&self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.add(Histogram::with_opts(
            HistogramOpts::new(name, help).buckets(buckets.to_vec()),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stock_dashboards_find_the_names_they_ask_for() {
        let metrics = Metrics::new();
        metrics.record_request("GET", "api", "200", Duration::from_millis(3));
        let text = String::from_utf8(metrics.render()).unwrap();
        for expected in [
            r#"controller_runtime_reconcile_total{controller="headgate",result="success"} 0"#,
            r#"controller_runtime_reconcile_errors_total{controller="headgate"} 0"#,
            r#"controller_runtime_max_concurrent_reconciles{controller="headgate"} 1"#,
            r#"workqueue_depth{name="headgate"} 0"#,
            r#"leader_election_master_status{name="headgate"} 0"#,
            r#"rest_client_requests_total{code="200",host="api",method="GET"} 1"#,
            "headgate_operator_snapshot_sequence 0",
            "headgate_operator_not_publishing 0",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
