//! What a collector is sent: a small real one, over HTTP, which decodes it by the protocol's own definition.

#![expect(clippy::unwrap_used, reason = "a test whose surroundings fail shall fail")]

#[expect(dead_code, reason = "the lab serves several test programs, and this one needs a part of it")]
mod lab;

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use provisioning_core::model::OperationId;
use provisioning_server::logging::Context;
use provisioning_server::traces::Traces;
use reqwest::Method;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry;

use lab::Lab;

const MAC: &str = "52:54:00:00:00:01";

/// A collector, and what it was sent.
struct Collector {
    endpoint: String,
    received: UnboundedReceiver<ExportTraceServiceRequest>,
}

impl Collector {
    async fn start() -> Self {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}/v1/traces", tcp.local_addr().unwrap());
        let (sender, received) = unbounded_channel();
        let router = Router::new().route("/v1/traces", post(take)).with_state(sender);
        tokio::spawn(async move { axum::serve(tcp, router).await });
        Self { endpoint, received }
    }

    /// Waits until the span of the whole operation has come: its phases and requests came before it, or with it.
    async fn spans_until(&mut self, name: &str) -> Vec<Span> {
        let mut spans = vec![];
        let waiting = async {
            while !spans.iter().any(|span: &Span| span.name == name) {
                let request = self.received.recv().await.unwrap();
                for resource in request.resource_spans {
                    let attributes = &resource.resource.as_ref().unwrap().attributes;
                    assert!(attributes.iter().any(|a| a.key == "service.name"), "{attributes:?}");
                    spans.extend(resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
                }
            }
        };
        timeout(Duration::from_secs(30), waiting).await.expect("the operation is told of");
        spans
    }
}

async fn take(State(sender): State<UnboundedSender<ExportTraceServiceRequest>>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    sender.send(ExportTraceServiceRequest::decode(body).unwrap()).unwrap();
}

fn text<'a>(span: &'a Span, name: &str) -> Option<&'a str> {
    let value = span.attributes.iter().find(|attribute| attribute.key == name)?.value.as_ref()?;
    match value.value.as_ref()? {
        Value::StringValue(text) => Some(text),
        other => panic!("{name} is {other:?}"),
    }
}

#[tokio::test]
async fn all_that_is_done_for_an_operation_is_one_trace_under_its_own_id() {
    let mut collector = Collector::start().await;
    let traces = Traces::to(&collector.endpoint).unwrap();
    // All tasks of this test run on its own thread.
    let _default = tracing::subscriber::set_default(registry().with(Context).with(traces.layer()));
    let mut lab = Lab::start().await;
    lab.server.trace_operations(traces.queue());
    let host = lab.host("pve-01", MAC).await;
    let token = lab.armed(&host, MAC).await;
    lab.send(lab.request(Method::GET, &format!("/boot/{token}/vmlinuz"))).await;
    let detail = lab.get(&format!("/api/hosts/{host}")).await.body;
    let operation = detail["operation"]["id"].as_str().or(detail["operation"].as_str()).unwrap().to_owned();
    lab.post(&format!("/api/hosts/{host}/cancel"), &json!({})).await;
    let spans = collector.spans_until("operation").await;

    let id: OperationId = operation.parse().unwrap();
    let (ours, others): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|span| span.trace_id == id.as_bytes());
    assert!(others.iter().all(|span| text(span, "operation").is_none()), "{others:#?}");
    let known: BTreeMap<&[u8], &Span> = ours.iter().map(|span| (span.span_id.as_slice(), *span)).collect();
    assert_eq!(known.len(), ours.len(), "no two spans share an id");
    let root = ours.iter().find(|span| span.name == "operation").unwrap();
    assert!(root.parent_span_id.is_empty(), "{root:?}");
    assert_eq!((text(root, "host"), text(root, "outcome")), (Some("pve-01"), Some("failed")));
    for span in ours.iter().filter(|span| span.name != "operation") {
        assert!(known.contains_key(span.parent_span_id.as_slice()), "{span:?} hangs in the air");
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano, "{span:?}");
    }
    for name in ["pxe_ready", "pxe_booted", "boot_script", "apply"] {
        assert!(ours.iter().any(|span| span.name == name), "{name} is not in the trace");
    }
    for route in ["/ipxe/{mac}", "/boot/{token}/{file}", "/api/hosts/{id}/rebuild"] {
        assert!(ours.iter().any(|span| text(span, "route") == Some(route)), "{route} is not in the trace");
    }
    assert!(!format!("{spans:?}").contains(&token), "a token was sent to the collector");
    traces.finish().await;
}

#[tokio::test]
async fn a_collector_that_is_away_holds_up_nobody() {
    let traces = Traces::to("http://127.0.0.1:9/v1/traces").unwrap();
    let _default = tracing::subscriber::set_default(registry().with(Context).with(traces.layer()));
    let lab = Lab::start().await;
    let host = lab.host("pve-01", MAC).await;
    lab.armed(&host, MAC).await;
    assert_eq!(lab.phase(&host).await, "pxe_booted");
    timeout(Duration::from_secs(20), traces.finish()).await.expect("it gives up");
}
