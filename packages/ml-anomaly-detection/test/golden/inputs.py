"""The generator that the golden scripts and test/inputs.ts share, so that golden files hold outputs only.

minstd: state = state * 48271 mod (2^31 - 1); every number is a multiple of 1e-4 or an integer.
"""


class Inputs:
    def __init__(self, seed):
        self.state = seed * 7919 + 1

    def below(self, n):
        self.state = self.state * 48271 % 2147483647
        return self.state % n

    def real(self):
        """Roughly bell-shaped in [-2, 2): the sum of four uniform steps of 1e-4."""
        return (sum(self.below(10000) for _ in range(4)) - 20000) / 10000

    def rows(self, n, d, kind):
        out = []
        for i in range(n):
            if kind == "lattice":
                out.append([float(self.below(4)) for _ in range(d)])
            elif kind == "duplicates" and i % 3 and out:
                out.append(list(out[self.below(len(out))]))
            else:
                far = 5.0 if self.below(12) == 0 else 1.0
                out.append([self.real() * far for _ in range(d)])
        return out
