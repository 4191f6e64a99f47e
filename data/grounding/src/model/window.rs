//! Cutting a feature map into windows and joining them again.

use tch::{Device, Kind, Tensor};

/// What keeps two regions of one window apart, as transformers writes it.
const APART: f64 = -100.0;

/// How a map of one size is cut.
pub(super) struct Window {
    height: i64,
    width: i64,
    /// The same, filled up to whole windows.
    height_full: i64,
    width_full: i64,
    /// Side of a window.
    side: i64,
    /// How far the map is rolled before it is cut.
    shift: i64,
    /// [N windows, 1, side², side²]: [`APART`] between places that the roll made neighbours.
    pub mask: Option<Tensor>,
}

impl Window {
    pub fn new(
        height: i64,
        width: i64,
        side: i64,
        shifted: bool,
        kind: Kind,
        device: Device,
    ) -> Self {
        let full = |length: i64| (length + side - 1) / side * side;
        let shift = if shifted { side / 2 } else { 0 };
        let mut window = Self {
            height,
            width,
            height_full: full(height),
            width_full: full(width),
            side,
            shift,
            mask: None,
        };
        window.mask = (shift > 0).then(|| window.regions_apart(kind, device));
        window
    }

    /// The roll brings up to three regions of each axis into one window: places of different
    /// regions are no neighbours.
    fn regions_apart(&self, kind: Kind, device: Device) -> Tensor {
        let regions = |length: i64| {
            let at = Tensor::arange(length, (Kind::Int64, device));
            let region = at.ge(length - self.side).to_kind(Kind::Int64);
            region + at.ge(length - self.shift).to_kind(Kind::Int64)
        };
        let rows = regions(self.height_full).view([1, -1, 1, 1]);
        let columns = regions(self.width_full).view([1, 1, -1, 1]);
        let region_nw = self.windows(&(rows * 3 + columns)).squeeze_dim(2);
        let apart = region_nw.unsqueeze(1).ne_tensor(&region_nw.unsqueeze(2));
        (apart.to_kind(kind) * APART).unsqueeze(1)
    }

    /// A whole number of windows [B, h, w, C] as [B·N, side², C].
    fn windows(&self, x_bhwc: &Tensor) -> Tensor {
        let (side, channels) = (self.side, x_bhwc.size()[3]);
        let (rows, columns) = (self.height_full / side, self.width_full / side);
        x_bhwc.reshape([-1, rows, side, columns, side, channels]).transpose(2, 3).reshape([
            -1,
            side * side,
            channels,
        ])
    }

    /// The windows [B·N, side², C] of a map [B, h, w, C].
    pub fn cut(&self, x_bhwc: &Tensor) -> Tensor {
        let (below, right) = (self.height_full - self.height, self.width_full - self.width);
        let mut x_bhwc = x_bhwc.shallow_clone();
        if below > 0 || right > 0 {
            x_bhwc = x_bhwc.constant_pad_nd([0, 0, 0, right, 0, below]);
        }
        if self.shift > 0 {
            x_bhwc = x_bhwc.roll([-self.shift, -self.shift], [1, 2]);
        }
        self.windows(&x_bhwc)
    }

    /// The inverse of [`Window::cut`].
    pub fn join(&self, x_nwc: &Tensor, batch: i64) -> Tensor {
        let (side, channels) = (self.side, x_nwc.size()[2]);
        let (rows, columns) = (self.height_full / side, self.width_full / side);
        let x_bhwc = x_nwc
            .view([batch, rows, columns, side, side, channels])
            .transpose(2, 3)
            .reshape([batch, self.height_full, self.width_full, channels]);
        let x_bhwc = match self.shift {
            0 => x_bhwc,
            shift => x_bhwc.roll([shift, shift], [1, 2]),
        };
        x_bhwc.narrow(1, 0, self.height).narrow(2, 0, self.width)
    }
}

/// What each head adds to the attention between two places of a window, [1, H, side², side²]:
/// `table` [(2 side - 1)², H] has a row for each distance.
pub(super) fn position_bias(table: &Tensor, side: i64) -> Tensor {
    let device = table.device();
    let place = Tensor::arange(side * side, (Kind::Int64, device));
    let (row, column) = (place.floor_divide_scalar(side), place.remainder(side));
    let distance = |at: &Tensor| at.unsqueeze(1) - at.unsqueeze(0) + (side - 1);
    let index = distance(&row) * (2 * side - 1) + distance(&column);
    let bias = table.index_select(0, &index.flatten(0, 1));
    bias.view([side * side, side * side, -1]).permute([2, 0, 1]).unsqueeze(0).contiguous()
}
