"""One Python loader measured by itself: the other side of `vlclip bench data`, with the same report.

`bench_data_loaders.py NAME --data DIR --workers W --seconds S` takes batches of 64 from loader NAME over the files
that bench_data_files.py wrote into DIR, in a process of its own, and prints one line of JSON. The clock starts with
the second batch. CPU time is that of this process and its workers.

  open_clip   `open_clip_train.data.get_wds_dataset`, as its trainer calls it, on the tars
  streaming   MosaicML Streaming: a `StreamingDataset` with shuffling, in a torch DataLoader, on the MDS shards
  datasets    Hugging Face: `load_dataset("parquet", streaming=True)` with a shuffle buffer, in a torch DataLoader,
              on the Parquet files

All use open_clip's training transform to 224 px (RandomResizedCrop of 90 to 100 % of the area, bicubic, to a float
tensor, normalised) and its tokenizer. vlclip hands out bytes, which the device normalises; with --uint8 these
loaders do as well.
"""

import argparse
import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

BATCH = 64
IMAGE_PX = 224


def transform(uint8):
    from open_clip.transform import image_transform
    from torchvision.transforms import Compose, PILToTensor

    training = image_transform(IMAGE_PX, is_train=True)
    if not uint8:
        return training
    crop, mode, *floats = training.transforms
    if [type(step).__name__ for step in floats] != ["MaybeToTensor", "Normalize"]:
        raise ValueError(f"open_clip's transform has changed: {training}")
    return Compose([crop, mode, PILToTensor()])


def open_clip_loader(data, workers, uint8, tokenizer):
    from open_clip_train.data import get_wds_dataset

    num_samples = json.loads((data / "set.json").read_text())["pictures"]
    shards = sorted(str(path) for path in (data / "tar").glob("*.tar"))
    args = SimpleNamespace(
        train_data=f"{Path(shards[0]).parent}/{{00000..{len(shards) - 1:05}}}.tar", train_num_samples=num_samples,
        train_data_upsampling_factors=None, dataset_resampled=False, seed=0, batch_size=BATCH, workers=workers,
        world_size=1,
    )
    # `floor`: whole batches of an epoch, as drop_last leaves for the others.
    info = get_wds_dataset(args, transform(uint8), is_train=True, floor=True, tokenizer=tokenizer)
    epoch = 0
    while True:
        info.set_epoch(epoch)
        yield from info.dataloader
        epoch += 1


def torch_loader(dataset, workers, collate=None):
    from torch.utils.data import DataLoader

    return DataLoader(
        dataset, batch_size=BATCH, num_workers=workers, collate_fn=collate, drop_last=True, persistent_workers=workers > 0
    )


def streaming_loader(data, workers, uint8, tokenizer):
    import io

    from PIL import Image
    from streaming import StreamingDataset

    to_tensor = transform(uint8)

    class Pairs(StreamingDataset):
        def __getitem__(self, index):
            row = super().__getitem__(index)
            image = to_tensor(Image.open(io.BytesIO(row["image"])).convert("RGB"))
            return image, tokenizer(row["text"])[0]

    loader = torch_loader(Pairs(local=str(data / "mds"), shuffle=True, batch_size=BATCH, shuffle_seed=0), workers)
    while True:
        yield from loader


def datasets_loader(data, workers, uint8, tokenizer):
    import torch
    from datasets import Image, load_dataset

    shards = sorted(str(path) for path in (data / "parquet").glob("*.parquet"))
    rows = load_dataset("parquet", data_files=shards, split="train", streaming=True, columns=["image", "captions"])
    rows = rows.cast_column("image", Image()).shuffle(seed=0, buffer_size=1000)
    to_tensor = transform(uint8)

    def collate(samples):
        images = torch.stack([to_tensor(sample["image"].convert("RGB")) for sample in samples])
        return images, torch.stack([tokenizer(sample["captions"][0])[0] for sample in samples])

    loader, epoch = torch_loader(rows, workers, collate), 0
    while True:
        rows.set_epoch(epoch)
        yield from loader
        epoch += 1


LOADERS = {"open_clip": open_clip_loader, "streaming": streaming_loader, "datasets": datasets_loader}


def cpu_seconds():
    """CPU time of this process and its descendants, those that have ended included."""
    parents, times = {}, {}
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else None
        except OSError:
            continue  # it has just ended
        if fields:
            parents[int(entry.name)] = int(fields[1])
            times[int(entry.name)] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    tree = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(times[pid] for pid in tree)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=list(LOADERS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--uint8", action="store_true", help="hand out bytes instead of normalised floats")
    args = parser.parse_args()

    import torch
    from open_clip.tokenizer import SimpleTokenizer

    torch.set_num_threads(1)  # small tensors; workers are what runs side by side
    start = time.perf_counter()
    batches = LOADERS[args.name](args.data, args.workers, args.uint8, SimpleTokenizer())
    images, texts = next(batches)
    if images.shape != (BATCH, 3, IMAGE_PX, IMAGE_PX) or texts.shape != (BATCH, 77):
        raise ValueError(f"unexpected batch: {images.shape} {texts.shape}")
    first, cpu, samples = time.perf_counter(), cpu_seconds(), 0
    while (wall := time.perf_counter() - first) < args.seconds:
        samples += len(next(batches)[0])
    report = {"samples": samples, "wall_s": wall, "cpu_s": cpu_seconds() - cpu, "first_batch_s": first - start}
    report["dtype"] = str(images.dtype)
    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    main()
