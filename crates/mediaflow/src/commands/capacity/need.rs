//! From what one upload takes to what all of them need. Pure.

use super::number;
use super::typical::PerAsset;
use crate::config::PricesConfig;
use crate::estimate::{
    CPU_MS_AROUND_ASSET, CPU_MS_PER_DELIVERY, POSTGRES_TASKS_PER_SECOND, SQLITE_TASKS_PER_SECOND,
};
use mediaflow_core::Kind;

const DAY_SECONDS: f64 = 86_400.0;
const MONTH_DAYS: f64 = 30.4;

/// What is asked for beside the uploads.
pub(super) struct Terms {
    pub(super) peak_factor: f64,
    /// Of their time, from 0 to 1.
    pub(super) busy: f64,
    pub(super) slots_per_worker: u32,
    pub(super) keep_days: u32,
    pub(super) views: f64,
}

/// A day's, and at the peak for each second.
#[derive(Debug, Clone, Default)]
pub(super) struct Need {
    pub(super) requests_day: f64,
    pub(super) requests_peak: f64,
    pub(super) tasks_day: f64,
    pub(super) tasks_peak: f64,
    pub(super) cpu_seconds_day: f64,
    /// Processors.
    pub(super) cpu_peak: f64,
    pub(super) api_cpu_seconds_day: f64,
    pub(super) api_cpu_peak: f64,
    pub(super) received_day: f64,
    pub(super) received_peak: f64,
    pub(super) stored_day: f64,
    pub(super) stored_all: f64,
    pub(super) egress_day: f64,
    pub(super) egress_peak: f64,
    pub(super) workers: u64,
    slots: f64,
}

impl Need {
    pub(super) fn of(kinds: &[(Kind, f64, PerAsset)], terms: &Terms) -> Self {
        let sum = |each: &dyn Fn(&PerAsset) -> f64| -> f64 {
            kinds
                .iter()
                .map(|(_, a_day, asset)| a_day * each(asset))
                .sum()
        };
        let peak = |a_day: f64| a_day / DAY_SECONDS * terms.peak_factor;
        let views = sum(&|asset| terms.views * asset.requests_view);
        let uploads = sum(&|_| 1.0);
        let requests_day = uploads + views;
        let tasks_day = sum(&|asset| asset.tasks);
        let cpu_seconds_day = sum(&|asset| asset.cpu_seconds);
        let api_cpu_seconds_day =
            (uploads * CPU_MS_AROUND_ASSET + views * CPU_MS_PER_DELIVERY) / 1000.0;
        let received_day = sum(&|asset| asset.original_bytes);
        let stored_day = sum(&|asset| asset.original_bytes + asset.made_bytes);
        let egress_day = sum(&|asset| terms.views * asset.bytes_view);
        let cpu_peak = peak(cpu_seconds_day);
        let each = f64::from(terms.slots_per_worker);
        let workers = (cpu_peak / terms.busy / each).ceil().max(1.0);
        Self {
            requests_day,
            requests_peak: peak(requests_day),
            tasks_day,
            tasks_peak: peak(tasks_day),
            cpu_seconds_day,
            cpu_peak,
            api_cpu_seconds_day,
            api_cpu_peak: peak(api_cpu_seconds_day),
            received_day,
            received_peak: peak(received_day),
            stored_day,
            stored_all: stored_day * f64::from(terms.keep_days),
            egress_day,
            egress_peak: peak(egress_day),
            workers: workers as u64,
            slots: workers * each,
        }
    }

    /// Which store takes so many tasks, and how far that is from what was measured.
    pub(super) fn store_advice(&self) -> String {
        let of = |rate: f64| self.tasks_peak / rate * 100.0;
        let (sqlite, postgres) = (of(SQLITE_TASKS_PER_SECOND), of(POSTGRES_TASKS_PER_SECOND));
        let advice = match (self.workers, postgres) {
            (1, _) if sqlite <= 50.0 => format!(
                "SQLite in one process will do: {sqlite:.1} % of the {} tasks a second that were measured",
                number(SQLITE_TASKS_PER_SECOND)
            ),
            (_, ..=50.0) => format!(
                "PostgreSQL, for several workers: {postgres:.1} % of the {} tasks a second that were measured",
                number(POSTGRES_TASKS_PER_SECOND)
            ),
            _ => format!(
                "more tasks than is safe for one PostgreSQL: {postgres:.0} % of the {} a second that were measured on two slow cores; measure yours, or split the tenants over installations",
                number(POSTGRES_TASKS_PER_SECOND)
            ),
        };
        format!("store     {advice}\n")
    }

    /// What a month costs, of that which has a price.
    pub(super) fn costs(&self, prices: &PricesConfig) -> Vec<(&'static str, f64)> {
        let gigabytes = |bytes: f64| bytes / 1e9;
        let parts = [
            // Processors are paid for whether they are busy or not.
            (
                "workers",
                prices
                    .cpu_hour
                    .map(|price| price * self.slots * 24.0 * MONTH_DAYS),
            ),
            (
                "storage",
                prices
                    .storage_gb_month
                    .map(|price| price * gigabytes(self.stored_all)),
            ),
            (
                "egress",
                prices
                    .egress_gb
                    .map(|price| price * gigabytes(self.egress_day) * MONTH_DAYS),
            ),
            (
                "requests",
                prices
                    .requests_million
                    .map(|price| price * self.requests_day / 1e6 * MONTH_DAYS),
            ),
        ];
        let parts = parts.into_iter();
        parts
            .filter_map(|(name, cost)| Some((name, cost?)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Need, Terms};
    use crate::commands::capacity::typical::PerAsset;
    use crate::config::PricesConfig;
    use crate::estimate::Basis;
    use mediaflow_core::Kind;

    fn need(a_day: f64) -> Need {
        let asset = PerAsset {
            what: String::new(),
            basis: Basis::Stated,
            tasks: 8.0,
            cpu_seconds: 5.0,
            original_bytes: 3e6,
            made_bytes: 2e6,
            requests_view: 1.0,
            bytes_view: 1e5,
        };
        let terms = Terms {
            peak_factor: 3.0,
            busy: 0.5,
            slots_per_worker: 4,
            keep_days: 10,
            views: 20.0,
        };
        Need::of(&[(Kind::Image, a_day, asset)], &terms)
    }

    #[test]
    fn what_people_do_on_paper() {
        let need = need(86_400.0);
        assert_eq!(need.tasks_peak, 24.0);
        assert_eq!(need.cpu_peak, 15.0);
        // 15 busy processors are 30 slots that are busy half of their time: 8 workers of 4.
        assert_eq!(need.workers, 8);
        assert_eq!(need.requests_day, 86_400.0 * 21.0);
        assert_eq!(need.stored_all, 86_400.0 * 5e6 * 10.0);
        assert_eq!(need.egress_peak, 6e6);
        assert!(need.store_advice().contains("PostgreSQL"));
    }

    #[test]
    fn one_worker_needs_no_cluster_and_very_many_are_warned_of() {
        assert!(need(1.0).store_advice().contains("SQLite"));
        assert!(need(1e9).store_advice().contains("more tasks than is safe"));
    }

    #[test]
    fn only_what_has_a_price_costs() {
        let need = need(86_400.0);
        assert!(need.costs(&PricesConfig::default()).is_empty());
        let prices = PricesConfig {
            cpu_hour: Some(0.04),
            ..PricesConfig::default()
        };
        let costs = need.costs(&prices);
        assert_eq!(costs.len(), 1);
        assert!((costs[0].1 - 0.04 * 32.0 * 24.0 * 30.4).abs() < 1e-6);
    }
}
