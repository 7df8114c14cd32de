"""Training without pairs: a translation and its way back give the scan again (CycleGAN: Zhu et al., ICCV 2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from monai.engines import SupervisedTrainer
from monai.engines.utils import IterationEvents
from monai.inferers import Inferer
from monai.utils.enums import CommonKeys
from torch import Tensor, nn

from medgen.training.adversarial import detail_of


class CycleTrainer(SupervisedTrainer):
    """Train one generator for all directions, and one discriminator for all contrasts, on scans that are no pairs.

    A batch is what `medgen.transforms.translate.RandTranslated` makes with `others`: "image", what is told of a scan; "label", the
    scan; "real", somebody else's scan of the wanted contrast; "source" and "target". The generator's loss is least squares
    of the discriminator (LSGAN), plus `cycle` times the L1 distance of the way back to the scan, plus `identity` times that
    of a real scan to its translation to its own contrast. The discriminator sees an image, its detail (less the mean of 3x3x3
    voxels, ten times), and one channel a contrast.

    Args:
        tell: (image, spacing, source, target) to what the generator is told.
        contrasts: the names, in the order of the discriminator's channels.
        discriminator: returns a list of maps of logits (`medgen.training.adversarial.MultiScale`).
    """

    def __init__(
        self, device: str | torch.device, max_epochs: int, train_data_loader: Iterable[Any], network: nn.Module, optimizer: torch.optim.Optimizer,
        inferer: Inferer, tell: Callable[[Tensor, Any, str, str], Tensor], contrasts: Sequence[str], discriminator: nn.Module,
        discriminator_optimizer: torch.optim.Optimizer, cycle: float = 10.0, identity: float = 5.0, epoch_length: int | None = None,
        train_handlers: Sequence[Any] | None = None, key_train_metric: dict[str, Any] | None = None,
        additional_metrics: dict[str, Any] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            device=device, max_epochs=max_epochs, train_data_loader=train_data_loader, network=network, optimizer=optimizer,
            loss_function=nn.L1Loss(), inferer=inferer, epoch_length=epoch_length, train_handlers=train_handlers,
            key_train_metric=key_train_metric, additional_metrics=additional_metrics, decollate=False,
        )  # fmt: skip
        self.tell, self.contrasts, self.cycle, self.identity = tell, contrasts, cycle, identity
        self.discriminator, self.discriminator_optimizer = discriminator, discriminator_optimizer

    def _seen(self, image: Tensor, contrast: str) -> Tensor:
        named = [torch.full_like(image, float(contrast == name)) for name in self.contrasts]
        return torch.cat([image, detail_of(image), *named], 1)

    def _judged(self, image: Tensor, contrast: str, wanted: float) -> Tensor:
        logits = self.inferer(self._seen(image.float(), contrast), self.discriminator)
        return torch.stack([(one.float() - wanted).square().mean() for one in logits]).mean()

    def _iteration(self, engine: Any, batch: dict[str, Any]) -> dict[str, Any]:
        told, scan, real = (batch[key].to(self.state.device) for key in ("image", "label", "real"))
        source, target, spacing = batch["source"][0], batch["target"][0], [float(s[0]) for s in batch["spacing"]]
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        made = self.inferer(told, self.network)
        back = self.inferer(self.tell(made, spacing, target, source), self.network)
        same = self.inferer(self.tell(real, spacing, target, target), self.network)
        fooled = self._judged(made, target, 1.0)
        returned = self.loss_function(back, scan)
        loss = fooled + self.cycle * returned + self.identity * self.loss_function(same, real)
        loss.backward()
        engine.fire_event(IterationEvents.BACKWARD_COMPLETED)
        self.optimizer.step()
        self.discriminator_optimizer.zero_grad(set_to_none=True)
        judged = (self._judged(real, target, 1.0) + self._judged(made.detach(), target, 0.0)) / 2
        judged.backward()
        self.discriminator_optimizer.step()
        self.state.output = {
            CommonKeys.IMAGE: told, CommonKeys.PRED: made.detach(), CommonKeys.LABEL: scan, CommonKeys.LOSS: returned.detach(),
            "discriminator_loss": judged.detach(), "generator_loss": fooled.detach(),
        }  # fmt: skip
        engine.fire_event(IterationEvents.MODEL_COMPLETED)
        return self.state.output
