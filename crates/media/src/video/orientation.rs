//! How a stored picture must be turned to be upright: phones film on their side.

use serde::{Deserialize, Serialize};

/// A mirroring, then a clockwise turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Orientation {
    /// Whether left and right are swapped first.
    pub mirrored: bool,
    /// Clockwise degrees: 0, 90, 180 or 270.
    pub degrees: u16,
}

impl Orientation {
    /// From the display matrix as ffprobe prints it (three rows of three fixed-point numbers);
    /// anything but right angles counts as upright.
    pub(super) fn of_matrix(text: &str) -> Self {
        let numbers: Vec<i64> = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .flat_map(|(_, row)| row.split_whitespace())
            .filter_map(|number| number.parse().ok())
            .collect();
        let [a, b, _, c, d, ..] = numbers[..] else {
            return Self::default();
        };
        let mirrored = a * d - b * c < 0;
        // What is left of the turn once the mirroring is taken out.
        let (a, b) = if mirrored { (-a, -b) } else { (a, b) };
        let degrees = if b.abs() > a.abs() {
            if b > 0 { 90 } else { 270 }
        } else if a < 0 {
            180
        } else {
            0
        };
        Self { mirrored, degrees }
    }

    /// Whether width and height change places.
    pub fn swaps_sides(self) -> bool {
        self.degrees % 180 == 90
    }

    /// ffmpeg's filters that do it, each followed by a comma.
    pub(super) fn filters(self) -> String {
        let mirror = if self.mirrored { "hflip," } else { "" };
        let turn = match self.degrees {
            90 => "transpose=clock,",
            180 => "hflip,vflip,",
            270 => "transpose=cclock,",
            _ => "",
        };
        format!("{mirror}{turn}")
    }
}
