//! What `deploy/observability` has does what it says: rules with their tests, routes, dashboards, and every name in a query is one
//! that a running server exposes.

use crate::given;
use crate::pictures::{photo, torn_badge};
use crate::promql::{Query, labels_in};
use crate::server::{Server, mediaflow, stderr, stdout};
use mediaflow_servers::{Postgres, Redis};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn here(path: &str) -> PathBuf {
    root().join("deploy/observability").join(path)
}

/// A tool that `scripts/install.sh servers` puts into `.tools`.
fn tool(path: &str) -> Command {
    let program = root().join(".tools").join(path);
    assert!(
        program.exists(),
        "{} is missing; scripts/install.sh servers installs it",
        program.display()
    );
    Command::new(program)
}

/// Runs it; what it says when it does not succeed.
fn succeeds(command: &mut Command, input: &str) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}: {}{}",
        stdout(&done),
        stderr(&done)
    );
    stdout(&done)
}

#[test]
fn rules_are_valid_and_every_alert_is_shown_to_fire() {
    let rules = [
        here("prometheus/recording.yml"),
        here("prometheus/alerts.yml"),
    ];
    succeeds(
        tool("bin/promtool").args(["check", "rules"]).args(&rules),
        "",
    );
    let tests = here("prometheus/alerts_test.yml");
    succeeds(tool("bin/promtool").args(["test", "rules"]).arg(&tests), "");
    let config = here("prometheus/prometheus.yml");
    let mut check = tool("bin/promtool");
    succeeds(
        check.args(["check", "config", "--syntax-only"]).arg(config),
        "",
    );

    let tests = std::fs::read_to_string(tests).unwrap();
    for alert in values_of(&rules[1], "alert") {
        let begin = format!("alertname: {alert}\n");
        let shown = tests.split(&begin).skip(1);
        let mut fires = shown.map(|rest| rest.lines().nth(1).unwrap().trim() == "exp_alerts:");
        assert!(fires.any(|fires| fires), "no test shows {alert}");
    }
}

#[test]
fn alerts_reach_whom_they_should() {
    let config = here("alertmanager/alertmanager.yml");
    succeeds(tool("bin/amtool").arg("check-config").arg(&config), "");
    let routes = std::fs::read_to_string(here("alertmanager/routes_test.txt")).unwrap();
    let routes = routes
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty());
    let mut tested = BTreeSet::new();
    for line in routes {
        let (labels, receivers) = line.split_once(" => ").unwrap();
        succeeds(
            tool("bin/amtool")
                .args(["config", "routes", "test", "--config.file"])
                .arg(&config)
                .arg(format!("--verify.receivers={receivers}"))
                .args(labels.split(' ')),
            "",
        );
        tested.extend(receivers.split(','));
    }
    let known = std::fs::read_to_string(&config).unwrap();
    let receivers = known.lines().filter_map(|l| l.strip_prefix("  - name: "));
    assert_eq!(tested, receivers.collect(), "each receiver is tested");
}

/// What a rule file says after `key:`, one line each.
fn values_of(file: &Path, key: &str) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap();
    let begin = format!("- {key}: ");
    let found = text.lines().filter_map(|l| l.trim().strip_prefix(&begin));
    found.map(str::to_owned).collect()
}

/// Every rule's name and expression.
fn rules(file: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let mut rules: Vec<(String, String)> = Vec::new();
    let mut is_block = false;
    for line in text.lines() {
        let trimmed = line.trim();
        let name = ["- record: ", "- alert: "]
            .iter()
            .find_map(|k| trimmed.strip_prefix(k));
        if let Some(name) = name {
            rules.push((name.to_owned(), String::new()));
            is_block = false;
        } else if let Some(expr) = trimmed.strip_prefix("expr: ") {
            is_block = expr == "|";
            let quoted = expr.strip_prefix('\'').and_then(|e| e.strip_suffix('\''));
            let expr = quoted.map_or(expr.to_owned(), |e| e.replace("''", "'"));
            if !is_block {
                rules.last_mut().unwrap().1 = expr;
            }
        } else if is_block && line.starts_with("          ") {
            rules.last_mut().unwrap().1.push_str(line);
        } else {
            is_block = false;
        }
    }
    rules
}

/// Title, legend and query of every panel.
fn panels() -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(here("grafana")).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|e| e == "json") {
            let board: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            for panel in board["panels"].as_array().unwrap() {
                for target in panel["targets"].as_array().into_iter().flatten() {
                    let text = |of: &Value, name: &str| of[name].as_str().unwrap().to_owned();
                    let query = text(target, "expr").replace("$__rate_interval", "1m");
                    found.push((text(panel, "title"), text(target, "legendFormat"), query));
                }
            }
        }
    }
    assert!(found.len() > 60, "{}", found.len());
    found
}

#[test]
fn dashboards_are_those_that_their_script_writes() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("dashboards.py");
    std::fs::copy(here("grafana/dashboards.py"), &script).unwrap();
    succeeds(Command::new("python3").arg(&script), "");
    let mut compared = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        let kept = here("grafana").join(path.file_name().unwrap());
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            std::fs::read_to_string(kept).unwrap(),
            "run deploy/observability/grafana/dashboards.py"
        );
        compared += 1;
    }
    assert_eq!(compared, 4);
}

/// A process that has everything there is: a shared database, a broker, systems outside, a disk, a worker.
struct Everything {
    server: Server,
    folder: TempDir,
    _postgres: Postgres,
    _redis: Redis,
}

impl Everything {
    fn start() -> Self {
        let (postgres, redis) = (Postgres::start(&[]), Redis::start(&[]));
        let folder = given::config(&format!(
            "store = \"{}\"\nbroker = \"{}\"\n[events]\nto = \"{}\"\n\
             [[delivery.signing_keys]]\nid = \"k\"\nsecret = \"{}\"\n[worker]\ncpu = 2\nlease_s = 3\n",
            postgres.database("mediaflow"),
            redis.url(0),
            redis.url(1),
            "5e".repeat(32),
        ));
        Self {
            server: Server::start(folder.path()),
            folder,
            _postgres: postgres,
            _redis: redis,
        }
    }

    /// Does what makes each metric appear: good files, bad files, questions that have no answer, bytes that are gone.
    async fn live(&self) {
        let server = &self.server;
        let good = server.upload("", photo(320, 240, 1)).await;
        let torn = server.upload("", torn_badge()).await;
        let (status, _) = server.post("/v1/assets", "no picture").await;
        assert_eq!(status, 415);
        let asset = server.asset_in(&good, "ready").await;
        server.asset_in(&torn, "failed").await;
        let missing = server.url("/v1/assets/00000000-0000-7000-8000-000000000000");
        assert_eq!(
            server.http().get(missing).send().await.unwrap().status(),
            404
        );
        for shard in std::fs::read_dir(self.folder.path().join("data/blobs/renditions")).unwrap() {
            for file in std::fs::read_dir(shard.unwrap().path()).unwrap() {
                std::fs::remove_file(file.unwrap().path()).unwrap();
            }
        }
        let url = asset["renditions"][0]["url"].as_str().unwrap();
        let gone = server.http().get(url).send().await.unwrap();
        assert!(!gone.status().is_success(), "its bytes are gone");
    }

    async fn scrape(&self, accept: &str) -> String {
        let request = self.server.http().get(self.server.url("/metrics"));
        let answer = request.header("accept", accept).send().await.unwrap();
        answer.text().await.unwrap()
    }

    /// What `mediaflow synthetic` tells of it.
    fn synthetic(&self) -> String {
        let file = self.folder.path().join("synthetic.prom");
        let mut command = mediaflow();
        command.args([
            "synthetic",
            "--once",
            "--media",
            "png",
            "--server",
            &self.server.base,
        ]);
        command.arg("--textfile").arg(&file);
        succeeds(&mut command, "");
        std::fs::read_to_string(file).unwrap()
    }
}

/// Each metric's labels, with the values that they have.
type Exposed = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn exposed(text: &str) -> Exposed {
    let mut found = Exposed::new();
    for line in text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty())
    {
        let end = line.find(['{', ' ']).unwrap();
        let metric = found.entry(line[..end].to_owned()).or_default();
        for (label, value) in labels_in(&line[end..]) {
            metric.entry(label).or_default().insert(value);
        }
    }
    found
}

#[tokio::test]
async fn every_query_asks_for_what_a_running_server_exposes() {
    let everything = Everything::start();
    everything.live().await;
    let text = everything.scrape("text/plain").await;
    let mut known = exposed(&(text.clone() + &everything.synthetic()));
    known.insert("up".into(), BTreeMap::new());
    // Prometheus adds these to each.
    for labels in known.values_mut() {
        for added in ["job", "instance"] {
            labels.insert(added.into(), BTreeSet::new());
        }
    }

    let mut queries = Vec::new();
    for (name, expr) in rules(&here("prometheus/recording.yml")) {
        let query = Query::parse(&expr);
        let of_rule = query.grouped.iter().map(|l| (l.clone(), BTreeSet::new()));
        let of_rule = of_rule.collect();
        queries.push((name.clone(), String::new(), expr));
        known.insert(name, of_rule);
    }
    let alerts = rules(&here("prometheus/alerts.yml"));
    queries.extend(
        alerts
            .into_iter()
            .map(|(name, expr)| (name, String::new(), expr)),
    );
    queries.extend(panels());

    let mut asked = BTreeSet::new();
    let mut wrong = Vec::new();
    for (place, legend, text) in &queries {
        let query = Query::parse(text);
        if query.selectors.is_empty() && text != "vector(1)" {
            wrong.push(format!("{place}: `{text}` asks for nothing"));
        }
        let mut labels: BTreeSet<&str> = BTreeSet::new();
        for selector in &query.selectors {
            asked.insert(selector.metric.clone());
            let Some(metric) = known.get(&selector.metric) else {
                wrong.push(format!("{place}: nobody exposes {}", selector.metric));
                continue;
            };
            labels.extend(metric.keys().map(String::as_str));
            for (label, operator, value) in &selector.matchers {
                match metric.get(label) {
                    None => wrong.push(format!("{place}: {} has no {label}", selector.metric)),
                    Some(values)
                        if operator == "=" && !values.is_empty() && !values.contains(value) =>
                    {
                        wrong.push(format!(
                            "{place}: {label} of {} is never {value}",
                            selector.metric
                        ));
                    }
                    Some(_) => {}
                }
            }
        }
        let legends = legend
            .split("{{")
            .skip(1)
            .map(|l| l.split("}}").next().unwrap());
        let grouped = query.grouped.iter().map(String::as_str);
        for label in grouped.chain(legends.clone()) {
            if !labels.contains(label) {
                wrong.push(format!(
                    "{place}: nothing in `{text}` has the label {label}"
                ));
            }
        }
        for label in legends {
            if !query.grouped.is_empty() && !query.grouped.contains(label) {
                wrong.push(format!("{place}: `{text}` drops the label {label}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n{text}", wrong.join("\n"));

    // Each metric is looked at somewhere.
    let families = text.lines().filter_map(|l| l.strip_prefix("# TYPE "));
    for family in families.map(|l| l.split(' ').next().unwrap()) {
        let forms = ["", "_bucket", "_count"].map(|end| format!("{family}{end}"));
        let is_asked = forms.iter().any(|form| asked.contains(form));
        assert!(is_asked, "no dashboard and no rule looks at {family}");
    }
    let expected = mediaflow_engine::metrics::ALL.iter().map(|d| d.name);
    for name in expected {
        let is_there = text.contains(&format!("# TYPE {name} "));
        assert!(
            is_there,
            "{name} is documented, and a server that has everything does not expose it:\n{text}"
        );
    }
    the_expressions_are_promql(&queries);
    others_can_read(
        &text,
        &everything.scrape("application/openmetrics-text").await,
    );
}

/// Prometheus itself reads them.
fn the_expressions_are_promql(queries: &[(String, String, String)]) {
    let folder = tempfile::tempdir().unwrap();
    let mut text = "groups:\n- name: all\n  rules:\n".to_owned();
    for (n, (.., query)) in queries.iter().enumerate() {
        let query = Value::from(query.as_str());
        text.push_str(&format!("  - record: query:{n}\n    expr: {query}\n"));
    }
    given::write(folder.path(), "rules.yml", text.as_bytes());
    let file = folder.path().join("rules.yml");
    succeeds(
        tool("bin/promtool")
            .args(["check", "rules", "--lint=none"])
            .arg(file),
        "",
    );
}

/// Parsers that others wrote: Prometheus' own for its format, that of its Python client for OpenMetrics.
fn others_can_read(classic: &str, open: &str) {
    succeeds(tool("bin/promtool").args(["check", "metrics"]), classic);
    let program = "import sys\n\
        from prometheus_client.openmetrics.parser import text_string_to_metric_families as read\n\
        families = list(read(sys.stdin.read()))\n\
        print(len(families), sum(1 for f in families if f.unit))";
    let said = succeeds(tool("openmetrics/bin/python").args(["-c", program]), open);
    let numbers: Vec<usize> = said
        .split_whitespace()
        .map(|n| n.parse().unwrap())
        .collect();
    assert!(numbers[0] >= mediaflow_engine::metrics::ALL.len(), "{said}");
    assert!(numbers[1] > 20, "most have a unit: {said}");
}
