"""The shop under load."""


def test_the_shop_keeps_its_books(stress):
    stress("shop.load:scenario", n=12, processes=3, seconds=20)
