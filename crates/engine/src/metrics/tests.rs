use super::*;

fn nothing() -> Scrape<'static> {
    Scrape {
        store: None,
        free_bytes: Some((7, 3)),
        broker: None,
        outlet: None,
        imports: None,
        webhooks: None,
        services: &[("sweeper", true)],
    }
}

fn busy() -> Metrics {
    let metrics = Metrics::new("1.2.3");
    metrics.request("GET", "/healthz", (200, None), 0.002);
    let refused = Some(ErrorCode::LimitRate);
    metrics.request("POST", "/v1/assets", (429, refused), 0.002);
    metrics.uploaded(Kind::Image, 5, "request", Duration::from_millis(3));
    metrics.task_began("image.resize", 2, Duration::from_millis(1500));
    metrics.task_ended(&Ended {
        operation: "image.resize",
        outcome: "failed",
        code: Some(ErrorCode::Timeout),
        took: Duration::from_millis(100),
        cpu_seconds: (0.08, 0.0),
    });
    metrics.task_recorded("image.resize", Duration::from_secs(2));
    metrics.worker(&WorkerLoad::default(), &[("timeout", 2)]);
    metrics.worker(&WorkerLoad::default(), &[("timeout", 3)]);
    metrics
}

#[test]
fn both_formats_say_the_same_in_their_own_way() {
    let metrics = busy();
    let open = metrics.expose(&nothing(), Exposition::OpenMetrics);
    assert!(open.ends_with("# EOF\n"));
    assert!(open.contains("# TYPE mediaflow_http_requests counter\n"));
    assert!(open.contains("# UNIT mediaflow_task_duration_seconds seconds\n"));
    let classic = metrics.expose(&nothing(), Exposition::Prometheus);
    assert!(!classic.contains("EOF") && !classic.contains("UNIT"));
    assert!(classic.contains("# TYPE mediaflow_http_requests_total counter\n"));
    assert!(classic.contains("# HELP mediaflow_http_requests_total Requests answered.\n"));
    assert!(classic.contains("# TYPE mediaflow_upload_bytes_total counter\n"));
    assert!(classic.contains("# TYPE mediaflow_http_request_duration_seconds histogram\n"));
    for line in [
        "mediaflow_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"200\"} 1\n",
        "mediaflow_http_problems_total{route=\"/v1/assets\",code=\"limit.rate\"} 1\n",
        "mediaflow_upload_bytes_total 5\n",
        "mediaflow_tasks_total{operation=\"image.resize\",outcome=\"failed\",code=\"timeout\"} 1\n",
        "mediaflow_task_retries_total{operation=\"image.resize\"} 1\n",
        "mediaflow_sandbox_refusals_total{code=\"timeout\"} 3\n",
        "mediaflow_service_failed{service=\"sweeper\"} 1\n",
        "mediaflow_storage_free_bytes{} 7\n",
        "mediaflow_build_info{version=\"1.2.3\"} 1\n",
    ] {
        assert!(
            open.contains(line) && classic.contains(line),
            "{line}{classic}"
        );
    }
}

#[test]
fn every_metric_is_described_once() {
    let text = busy().expose(&nothing(), Exposition::Prometheus);
    let exposed: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next())
        .collect();
    assert!(exposed.len() > 20, "{text}");
    for name in exposed {
        let described = ALL.iter().filter(|d| d.name == name).count();
        assert_eq!(described, 1, "{name}");
    }
}

#[test]
fn the_page_of_metrics_lists_each_with_its_labels() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/metrics.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    for described in ALL {
        let labels: Vec<String> = described.labels.iter().map(|l| format!("`{l}`")).collect();
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{}` |", described.name)));
        let row = row.unwrap_or_else(|| panic!("{} is not on the page", described.name));
        let columns: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(columns[3], labels.join(", "), "{row}");
        assert_eq!(columns[4], described.help, "{row}");
    }
}

#[test]
fn what_processors_and_files_a_process_uses_is_told() {
    let text = busy().expose(&nothing(), Exposition::Prometheus);
    let value = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(&format!("{name} ")));
        let line = line.unwrap_or_else(|| panic!("{name} is missing"));
        line.rsplit(' ').next().and_then(|n| n.parse::<f64>().ok())
    };
    assert!(value("process_resident_memory_bytes") > Some(1e6));
    assert!(value("process_open_fds") > Some(2.0));
    assert!(value("process_start_time_seconds") > Some(1.7e9));
    assert!(value("process_cpu_seconds_total") >= Some(0.0));
}
