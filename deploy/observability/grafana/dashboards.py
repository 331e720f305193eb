#!/usr/bin/env python3
"""Writes the Grafana dashboards beside it, from the questions that they answer. Run it after a change; a test compares.

A panel is (title, kind, unit, {legend: query}). Kinds: stat, lines, bars, heat, table. The width is 24 columns; a row gives its panels equal shares.
"""
import json
import pathlib

SOURCE = {"type": "prometheus", "uid": "${source}"}
UP = 'up{job="mediaflow"}'


def quantile(q, metric, by=""):
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket[$__rate_interval])))"


def rate(metric, by="", where=""):
    total = f"sum by ({by})" if by else "sum"
    return f"{total} (rate({metric}{where}[$__rate_interval]))"


NOW = [
    ("Is anything wrong?", [
        ("Processes that answer", "stat", "short", {"up": f"sum({UP})", "all": f"count({UP})"}),
        ("Oldest task waits", "stat", "s", {"{{queue}}": "mediaflow:queue_oldest_ready_seconds:max"}),
        ("Dead letters", "stat", "short", {"{{queue}}": "mediaflow:queue_dead:max"}),
        ("Waiting for a person", "stat", "short", {"in review": 'max(mediaflow_assets{state="in_review"})'}),
        ("Workers", "stat", "short", {"{{queue}}": "mediaflow:queue_workers:max"}),
        ("Room on the disk", "stat", "bytes", {"{{instance}}": "mediaflow_storage_free_bytes"}),
    ]),
    ("What people see", [
        ("Requests that fail, of all", "lines", "percentunit", {"5 minutes": "mediaflow:http_errors:ratio_rate5m", "1 hour": "mediaflow:http_errors:ratio_rate1h"}),
        ("Until an upload can be shown", "lines", "s", {"half": quantile(0.5, "mediaflow_asset_viewable_duration_seconds"), "95 of 100": quantile(0.95, "mediaflow_asset_viewable_duration_seconds")}),
        ("Until everything is made", "lines", "s", {"half": quantile(0.5, "mediaflow_asset_ready_duration_seconds"), "95 of 100": quantile(0.95, "mediaflow_asset_ready_duration_seconds")}),
    ]),
    ("What flows through", [
        ("Uploads a second", "bars", "ops", {"{{kind}}": rate("mediaflow_uploads_total", "kind")}),
        ("Ready tasks", "lines", "short", {"{{queue}}": "mediaflow:queue_ready:max"}),
        ("Time to drain", "lines", "s", {"{{queue}}": "max by (queue) (mediaflow_queue_drain_seconds)"}),
        ("Assets", "table", "short", {"{{state}}": "max by (state) (mediaflow_assets)"}),
    ]),
    ("What the objectives allow", [
        ("Budget of errors spent, times too fast", "lines", "none", {
            "1 hour": "mediaflow:http_errors:ratio_rate1h / 0.001", "6 hours": "mediaflow:http_errors:ratio_rate6h / 0.001", "3 days": "mediaflow:http_errors:ratio_rate3d / 0.001"}),
        ("Budget of late uploads spent, times too fast", "lines", "none", {
            "1 hour": "mediaflow:assets_late:ratio_rate1h / 0.01", "6 hours": "mediaflow:assets_late:ratio_rate6h / 0.01", "3 days": "mediaflow:assets_late:ratio_rate3d / 0.01"}),
        ("Known media comes through", "lines", "bool", {"{{media}}": "max by (media) (mediaflow_synthetic_up)"}),
        ("Known media takes", "lines", "s", {"{{media}} {{phase}}": "max by (media, phase) (mediaflow_synthetic_duration_seconds)"}),
    ]),
]

WORK = [
    ("Tasks", [
        ("Attempts that ended", "bars", "ops", {"{{operation}}": "sum by (operation) (mediaflow:tasks:rate5m)"}),
        ("Failed attempts", "bars", "ops", {"{{operation}} {{code}}": 'sum by (operation, code) (mediaflow:tasks:rate5m{outcome="failed"})'}),
        ("Failed for our reasons, of all", "lines", "percentunit", {"{{operation}}": "mediaflow:task_errors:ratio_rate15m"}),
    ]),
    ("Where time goes", [
        ("Ready until claimed, 95 of 100", "lines", "s", {"{{operation}}": quantile(0.95, "mediaflow_task_queue_duration_seconds", "operation")}),
        ("Attempts, 95 of 100", "lines", "s", {"{{operation}}": quantile(0.95, "mediaflow_task_duration_seconds", "operation")}),
        ("Ready until recorded, 95 of 100", "lines", "s", {"{{operation}}": quantile(0.95, "mediaflow_task_total_duration_seconds", "operation")}),
        ("Processors, by operation", "bars", "none", {"{{operation}}": rate("mediaflow_task_cpu_seconds_total", "operation"), "checking {{operation}}": rate("mediaflow_task_check_cpu_seconds_total", "operation")}),
    ]),
    ("Queues", [
        ("Arrivals and completions a second", "lines", "ops", {"arrive {{queue}}": "max by (queue) (mediaflow_queue_arrivals_per_second)", "end {{queue}}": "max by (queue) (mediaflow_queue_completions_per_second)"}),
        ("Running, of slots", "lines", "short", {"running {{queue}}": "max by (queue) (mediaflow_queue_running)", "slots {{queue}}": "max by (queue) (mediaflow_queue_slots)"}),
        ("Waiting for a retry or a person", "lines", "short", {"{{queue}}": "max by (queue) (mediaflow_queue_waiting)"}),
        ("Fit no worker, or switched off", "lines", "short", {"{{queue}} {{reason}}": "max by (queue, reason) (mediaflow_queue_unplaceable)", "off {{queue}}": "max by (queue) (mediaflow_queue_paused)"}),
        ("Work for one slot", "lines", "s", {"{{queue}}": "max by (queue) (mediaflow_queue_work_seconds)"}),
    ]),
    ("Workers", [
        ("Memory given to tasks", "lines", "bytes", {"{{instance}}": "mediaflow_worker_memory_bytes", "{{instance}} may": "mediaflow_worker_memory_limit_bytes"}),
        ("Scratch", "lines", "bytes", {"{{instance}} {{place}}": "mediaflow_worker_scratch_bytes", "{{instance}} {{place}} may": "mediaflow_worker_scratch_limit_bytes"}),
        ("Tasks in hand", "lines", "short", {"{{instance}}": "mediaflow_worker_leases"}),
        ("Leases lost, results dropped, heartbeats missed", "bars", "short", {
            "expired": "sum(increase(mediaflow_leases_expired_total[$__rate_interval]))",
            "lost": "sum(increase(mediaflow_worker_leases_lost_total[$__rate_interval]))",
            "dropped": "sum(increase(mediaflow_worker_reports_overtaken_total[$__rate_interval]))",
            "heartbeats": "sum(increase(mediaflow_worker_heartbeat_failures_total[$__rate_interval]))",
            "retries {{operation}}": "sum by (operation) (increase(mediaflow_task_retries_total[$__rate_interval]))"}),
        ("Sandbox", "bars", "short", {"{{code}}": "sum by (code) (increase(mediaflow_sandbox_refusals_total[$__rate_interval]))"}),
    ]),
]

PARTS = [
    ("Requests", [
        ("Requests a second", "bars", "reqps", {"{{method}} {{route}}": rate("mediaflow_http_requests_total", "method, route")}),
        ("Slowest requests, 99 of 100", "lines", "s", {"{{method}} {{route}}": quantile(0.99, "mediaflow_http_request_duration_seconds", "method, route")}),
        ("Answered with an error", "bars", "reqps", {"{{route}} {{code}}": rate("mediaflow_http_problems_total", "route, code")}),
        ("Open event streams", "lines", "short", {"{{instance}}": "mediaflow_http_event_streams"}),
    ]),
    ("Uploads", [
        ("Bytes a second", "lines", "Bps", {"accepted": rate("mediaflow_upload_bytes_total")}),
        ("Time, 99 of 100", "lines", "s", {"{{way}}": "mediaflow:upload_duration_seconds:p99_5m"}),
        ("Refused", "bars", "ops", {"{{code}}": rate("mediaflow_upload_refusals_total", "code")}),
    ]),
    ("Database", [
        ("Verbs a second", "bars", "ops", {"{{verb}}": rate("mediaflow_store_verb_duration_seconds_count", "verb")}),
        ("Time of verbs, 99 of 100", "lines", "s", {"{{verb}}": "mediaflow:store_verb_duration_seconds:p99_5m"}),
        ("Verbs that did nothing", "bars", "ops", {"{{verb}} {{code}}": rate("mediaflow_store_errors_total", "verb, code")}),
        ("Events recorded", "bars", "ops", {"{{type}}": rate("mediaflow_events_recorded_total", "type")}),
    ]),
    ("Bytes", [
        ("Time of requests, 99 of 100", "lines", "s", {"{{action}}": "mediaflow:blob_request_duration_seconds:p99_5m"}),
        ("Requests that failed", "bars", "ops", {"{{action}} {{reason}}": rate("mediaflow_blob_errors_total", "action, reason"), "tried again": rate("mediaflow_blob_retries_total")}),
        ("Free, and least", "lines", "bytes", {"{{instance}}": "mediaflow_storage_free_bytes", "{{instance}} least": "mediaflow_storage_free_limit_bytes"}),
    ]),
    ("Who is told", [
        ("Broker", "lines", "short", {"up {{instance}}": "mediaflow_broker_up", "failures": "sum(increase(mediaflow_broker_failures_total[$__rate_interval]))"}),
        ("Rings", "lines", "ops", {"announced": rate("mediaflow_broker_announced_total"), "heard": rate("mediaflow_broker_received_total"), "acknowledged": rate("mediaflow_broker_acknowledged_total")}),
        ("Events told outside", "lines", "ops", {"told": rate("mediaflow_events_told_total"), "failures": rate("mediaflow_events_failures_total")}),
        ("Not told yet", "lines", "s", {"events": "max(mediaflow_events_untold_seconds)", "purges": "max(mediaflow_purges_overdue_seconds)"}),
        ("Webhooks", "lines", "ops", {"{{outcome}}": rate("mediaflow_webhook_deliveries_total", "outcome")}),
        ("Deliveries late", "lines", "s", {"webhooks": "max(mediaflow_webhook_lag_seconds)"}),
        ("Imports by address", "lines", "short", {"open": "max(mediaflow_imports_open)", "fetched now": "sum(mediaflow_imports_running)", "{{outcome}}": "sum by (outcome) (increase(mediaflow_imports_total[$__rate_interval]))"}),
        ("Purges", "lines", "short", {"waiting": "max(mediaflow_purges_waiting)", "failures": "sum(increase(mediaflow_purge_failures_total[$__rate_interval]))"}),
    ]),
    ("Processes", [
        ("Processors", "lines", "none", {"{{instance}}": 'sum by (instance) (rate(process_cpu_seconds_total{job="mediaflow"}[$__rate_interval]))'}),
        ("Memory", "lines", "bytes", {"{{instance}}": 'process_resident_memory_bytes{job="mediaflow"}'}),
        ("Open files, of those allowed", "lines", "percentunit", {"{{instance}}": 'process_open_fds{job="mediaflow"} / process_max_fds{job="mediaflow"}'}),
        ("Services that fail", "lines", "short", {"{{service}}": "max by (service) (mediaflow_service_failed)"}),
        ("Versions", "table", "short", {"{{version}}": "count by (version) (mediaflow_build_info)"}),
        ("Running for", "stat", "s", {"{{instance}}": 'time() - process_start_time_seconds{job="mediaflow"}'}),
    ]),
]

VALUE = {"reduceOptions": {"calcs": ["lastNotNull"]}, "orientation": "auto"}
STAT = VALUE | {"colorMode": "value", "graphMode": "area", "justifyMode": "auto", "textMode": "auto", "wideLayout": True, "showPercentChange": False, "percentChangeColorMode": "standard"}
LEGEND = {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []}
CHART = {"legend": LEGEND, "tooltip": {"mode": "multi", "sort": "desc"}}
BARS = VALUE | {
    "orientation": "horizontal", "displayMode": "basic", "legend": LEGEND | {"showLegend": False}, "valueMode": "color", "namePlacement": "auto", "showUnfilled": True,
    "sizing": "auto", "minVizWidth": 8, "minVizHeight": 16, "maxVizHeight": 300,
}
KINDS = {
    "stat": ("stat", STAT, {}),
    "lines": ("timeseries", CHART, {"drawStyle": "line", "fillOpacity": 8}),
    "bars": ("timeseries", CHART, {"drawStyle": "bars", "fillOpacity": 60, "stacking": {"mode": "normal"}}),
    "table": ("bargauge", BARS, {}),
}


def panel(number, place, title, kind, unit, queries):
    name, options, custom = KINDS[kind]
    return {
        "id": number, "type": name, "title": title, "datasource": SOURCE, "gridPos": place, "options": options,
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": custom}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": query, "legendFormat": legend, "instant": kind in ("stat", "table"), "range": kind not in ("stat", "table")}
            for n, (legend, query) in enumerate(queries.items())
        ],
    }


def dashboard(uid, title, rows):
    panels, number, y = [], 0, 0
    for heading, row in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": heading, "collapsed": False, "panels": [], "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}})
        y += 1
        height = 4 if all(kind == "stat" for _, kind, _, _ in row) else 8
        for n, (name, kind, unit, queries) in enumerate(row):
            number += 1
            x, after = 24 * n // len(row), 24 * (n + 1) // len(row)
            panels.append(panel(number, {"x": x, "y": y, "w": after - x, "h": height}, name, kind, unit, queries))
        y += height
    return {
        "uid": uid, "title": title, "tags": ["mediaflow"], "schemaVersion": 39, "version": 1, "editable": True, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "graphTooltip": 1,
        "templating": {"list": [{"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus", "current": {"text": "default", "value": "default"}, "hide": 0}]},
        "links": [{"type": "dashboards", "title": "MediaFlow", "tags": ["mediaflow"], "asDropdown": False, "keepTime": True, "includeVars": True, "targetBlank": False, "icon": "dashboard", "tooltip": ""}],
        "panels": panels,
    }


for uid, title, rows in [("mediaflow-now", "MediaFlow: now", NOW), ("mediaflow-work", "MediaFlow: work", WORK), ("mediaflow-parts", "MediaFlow: parts", PARTS)]:
    text = json.dumps(dashboard(uid, title, rows), indent=1)
    (pathlib.Path(__file__).parent / f"{uid}.json").write_text(text + "\n")
