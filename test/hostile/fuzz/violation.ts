/** What the fuzzer's witnesses throw: the code did what it must never do, whoever speaks to it. */
class Violation extends Error {
  override readonly name = 'Violation';
}

export function must(holds: boolean, what: () => string): asserts holds {
  if (!holds) throw new Violation(what());
}
