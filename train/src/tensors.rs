//! Between libtorch's tensors and the bytes of a checkpoint.

use checkpoints::{Dtype, OwnedTensor, TensorView};
use tch::{Device, Kind, TchError, Tensor};

/// A tensor on the CPU from a checkpoint's bytes.
///
/// # Errors
/// When the bytes do not hold that many elements.
pub fn from_stored(stored: &OwnedTensor) -> Result<Tensor, TchError> {
    let shape: Vec<i64> =
        stored.shape.iter().map(|&d| i64::try_from(d).unwrap_or(i64::MAX)).collect();
    Tensor::f_from_data_size(&stored.bytes, &shape, kind(stored.dtype))
}

/// The bytes of a tensor for a checkpoint, copied from wherever it lives.
///
/// # Errors
/// When the tensor's dtype has no place in a checkpoint.
pub fn to_stored(tensor: &Tensor) -> Result<OwnedTensor, TchError> {
    let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
    let dtype = dtype(tensor.kind())?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    let shape = tensor.size().iter().map(|&d| usize::try_from(d).unwrap_or(0)).collect();
    Ok(OwnedTensor { dtype, shape, bytes })
}

/// A tensor under its name, as a checkpoint is written.
pub fn named<'a>(name: &'a str, tensor: &'a OwnedTensor) -> TensorView<'a> {
    TensorView { name, dtype: tensor.dtype, shape: &tensor.shape, bytes: &tensor.bytes }
}

fn kind(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::U8 => Kind::Uint8,
        Dtype::Bool => Kind::Bool,
    }
}

fn dtype(kind: Kind) -> Result<Dtype, TchError> {
    Ok(match kind {
        Kind::Double => Dtype::F64,
        Kind::Float => Dtype::F32,
        Kind::Half => Dtype::F16,
        Kind::BFloat16 => Dtype::BF16,
        Kind::Int64 => Dtype::I64,
        Kind::Int => Dtype::I32,
        Kind::Uint8 => Dtype::U8,
        Kind::Bool => Dtype::Bool,
        other => {
            return Err(TchError::Kind(format!("a checkpoint cannot hold elements of {other:?}")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_round_trip_in_every_dtype_and_layout() {
        let base = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]);
        for kind in
            [Kind::Double, Kind::Float, Kind::Half, Kind::BFloat16, Kind::Int64, Kind::Uint8]
        {
            let tensor = base.to_kind(kind).transpose(0, 1); // not contiguous
            let back = from_stored(&to_stored(&tensor).unwrap()).unwrap();
            assert_eq!((back.kind(), back.size()), (kind, vec![3, 2]));
            assert!(back.equal(&tensor), "{kind:?}");
        }
        let scalar = Tensor::from(2.5f32);
        assert!(from_stored(&to_stored(&scalar).unwrap()).unwrap().size().is_empty());
    }
}
