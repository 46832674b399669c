import torch

from stages.core.audio.codebook import Codebook, cosine_projection, stack_frames, train_codebook, voice_average


def test_planted_clusters_are_found():
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(8, 6, generator=generator) * 10
    points = centres.repeat(200, 1) + 0.1 * torch.randn(1600, 6, generator=generator)
    found = train_codebook(points, torch.eye(6), 24, 20, seed=0)
    distances = torch.cdist(centres, found).min(dim=1).values
    assert distances.max() < 0.5


def test_codes_do_not_hear_the_voice_and_decode_into_the_voice_asked_for():
    torch.manual_seed(0)
    log_mel = torch.randn(40, 5)
    codebook = Codebook(stack_frames(log_mel - voice_average(log_mel), 4), 4, cosine_projection(4, 5, 4, 5))
    tilt = torch.tensor([1.0, 2.0, 0.0, -1.0, 3.0]) - 1.0  # no change of loudness order: the mean of the tilt is zero
    codes = codebook.quantise(log_mel)
    assert torch.equal(codebook.quantise(log_mel + tilt), codes)
    torch.testing.assert_close(codebook.decode(codes, voice_average(log_mel)), log_mel, atol=1e-5, rtol=1e-5)


def test_all_cosine_terms_keep_distances_and_few_drop_the_fine_structure():
    points = torch.randn(10, 20, generator=torch.Generator().manual_seed(0))
    projected = points @ cosine_projection(4, 5, 4, 5)
    torch.testing.assert_close(torch.cdist(projected, projected), torch.cdist(points, points), atol=1e-4, rtol=1e-4)
    comb = torch.tensor([1.0, -1.0] * 40).repeat(4)
    assert (comb @ cosine_projection(4, 80, 3, 24)).norm() < 0.15 * comb.norm()
