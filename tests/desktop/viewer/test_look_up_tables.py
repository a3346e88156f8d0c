from __future__ import annotations

from g2g_desktop.viewer.look_up_tables import coverage_table, look_up_table


def test_colour_tables() -> None:
    assert look_up_table("Grey")[128].tolist() == [128, 128, 128]
    assert look_up_table("Grey", inverted=True)[0].tolist() == [255, 255, 255]
    viridis = look_up_table("Viridis")
    assert viridis.shape == (256, 3)
    assert viridis[0, 2] > viridis[0, 0]
    hilo = look_up_table("HiLo")
    assert hilo[0, 2] == 255
    assert hilo[255, 0] == 255
    assert hilo[255, 2] < 100
    assert coverage_table()[:3, 3].tolist() == [0, 64, 64]
