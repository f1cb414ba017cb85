"""The baseline of the training step: a plain eager port of the authors' main.lua.

What a careful line-by-line translation (https://github.com/cvondrick/videogan at 88c0c4d) into
PyTorch does: float32, default memory layout, a head per stream, `squeeze`d convolutions instead of
matrix products, the background repeated over time, the fakes judged again for the generator with
the discriminator's gradients computed and thrown away, Adam parameter by parameter. Same networks,
same batch, same mathematics as `--recipe paper --generator-step alternating`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

LATENT = 100


class PortedGenerator(nn.Module):
    """The two-stream generator, layer by layer."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        layers: list[nn.Module] = [nn.ConvTranspose3d(LATENT, 8 * w, (2, 4, 4))]
        still: list[nn.Module] = [nn.ConvTranspose2d(LATENT, 8 * w, 4)]
        for c in (8 * w, 4 * w, 2 * w):
            layers += [nn.BatchNorm3d(c), nn.ReLU(), nn.ConvTranspose3d(c, c // 2, 4, 2, 1)]
            still += [nn.BatchNorm2d(c), nn.ReLU(), nn.ConvTranspose2d(c, c // 2, 4, 2, 1)]
        self.trunk = nn.Sequential(*layers, nn.BatchNorm3d(w), nn.ReLU())
        self.video = nn.Sequential(nn.ConvTranspose3d(w, 3, 4, 2, 1), nn.Tanh())
        self.mask = nn.Sequential(nn.ConvTranspose3d(w, 1, 4, 2, 1), nn.Sigmoid())
        self.still = nn.Sequential(
            *still, nn.BatchNorm2d(w), nn.ReLU(), nn.ConvTranspose2d(w, 3, 4, 2, 1), nn.Tanh()
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return clips (B, 3, 32, 64, 64) and masks of latents (B, 100)."""
        maps = self.trunk(z.view(-1, LATENT, 1, 1, 1))
        foreground = self.video(maps)
        mask = self.mask(maps)
        background = self.still(z.view(-1, LATENT, 1, 1)).unsqueeze(2).repeat(1, 1, 32, 1, 1)
        repeated = mask.repeat(1, 3, 1, 1, 1)
        return repeated * foreground + (1 - repeated) * background, mask


def ported_discriminator(width: int) -> nn.Sequential:
    """Return the discriminator, layer by layer."""
    layers: list[nn.Module] = [nn.Conv3d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
    for c in (width, 2 * width, 4 * width):
        layers += [nn.Conv3d(c, 2 * c, 4, 2, 1), nn.BatchNorm3d(2 * c, eps=1e-3), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Conv3d(8 * width, 2, (2, 4, 4)), nn.Flatten())


class PortedTrainer:
    """The authors' training step, translated."""

    def __init__(self, width: int, device: torch.device) -> None:
        self.device = device
        self.generator = PortedGenerator(width).to(device)
        self.discriminator = ported_discriminator(width).to(device)
        for module in [*self.generator.modules(), *self.discriminator.modules()]:
            if isinstance(module, nn.modules.conv._ConvNd):
                nn.init.normal_(module.weight, 0.0, 0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        self.of_g, self.of_d = (
            torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), foreach=False)
            for net in (self.generator, self.discriminator)
        )

    def step(self, real: Tensor) -> None:
        """One update of both networks."""
        z = torch.randn(len(real), LATENT, device=self.device)
        as_real = torch.zeros(len(real), dtype=torch.long, device=self.device)
        as_fake = torch.ones_like(as_real)
        clip, mask = self.generator(z)
        self.of_d.zero_grad()
        on_real = functional.cross_entropy(self.discriminator(real), as_real)
        on_real.backward()  # type: ignore[no-untyped-call]
        on_fake = functional.cross_entropy(self.discriminator(clip.detach()), as_fake)
        on_fake.backward()  # type: ignore[no-untyped-call]
        self.of_d.step()
        self.of_g.zero_grad()
        loss = functional.cross_entropy(self.discriminator(clip), as_real)
        (loss + 0.1 * mask.abs().mean()).backward()
        self.of_g.step()
