/**
 * What each rule does to one direction of one connection: spans in, spans or a cut out. Sans-IO.
 *
 * A stage counts only bytes that its rule is about; the rest passes in its place. Held back is at
 * most one piece, by a swap, until the piece behind it has passed.
 */
import { Places } from './places.ts';
import type { Direction, Rule, RuleInForce } from './rules.ts';
import type { Span } from './tracker.ts';

/** The connection ends here; nothing that follows passes. */
export interface Cut {
  readonly cut: 'rst' | 'fin';
}

export interface Output extends Span {
  /** To be written by itself. */
  readonly apart?: boolean;
}

/** What stages know of the connection that they are on. */
export interface Place {
  readonly connection: number;
  readonly direction: Direction;
  /** How many connections the rule had met before this one. */
  readonly ordinal: number;
  /** Known from HELLO on. */
  collector(): string | undefined;
}

export interface Stage {
  readonly rule: RuleInForce;
  take(span: Output): (Output | Cut)[];
  /** What it holds back, once nothing more comes. */
  flush(): Output[];
}

/** Undefined where the rule isn't about this direction of this connection. */
export function stageOf(rule: RuleInForce, place: Place): Stage | undefined {
  const { direction } = rule.rule;
  if (direction !== 'both' && direction !== place.direction) return undefined;
  if (rule.connection !== undefined && rule.connection !== place.connection) return undefined;
  const scope = new Scope(rule, place);
  const order = rule.rule;
  switch (order.do) {
    case 'flip':
      return new FlipStage(scope, order);
    case 'double':
    case 'drop':
    case 'swap':
      return new PieceStage(scope, order);
    case 'cut':
      return new CutStage(scope, order);
    case 'crumble':
      return new CrumbleStage(scope, order.bytes);
    case 'black_hole':
      return new BlackHoleStage(scope);
  }
}

/** Which bytes a rule is about, on one direction of one connection, and its account of them. */
class Scope {
  readonly rule: RuleInForce;
  readonly place: Place;

  constructor(rule: RuleInForce, place: Place) {
    this.rule = rule;
    this.place = place;
  }

  covers({ message }: Span): boolean {
    const order: Rule = this.rule.rule;
    if (this.rule.lifted) return false;
    if (order.collector !== undefined && order.collector !== this.place.collector()) return false;
    const wanted = 'messages' in order ? order.messages : undefined;
    return wanted === undefined || message?.kind === wanted;
  }

  bit({ message, at }: Span, count = 1): void {
    const { connection, direction } = this.place;
    this.rule.bit({ connection, direction, message: message?.kind ?? null, at }, count);
  }

  places({ seed, every_bytes }: { seed: number; every_bytes: number }): Places {
    return new Places(seed, this.place.ordinal, this.place.direction, every_bytes);
  }
}

function split(span: Output, length: number): [Output, Output] {
  const { bytes, from, at } = span;
  return [
    { ...span, bytes: bytes.subarray(0, length) },
    { ...span, bytes: bytes.subarray(length), from: from + length, at: at + length },
  ];
}

class FlipStage implements Stage {
  readonly rule: RuleInForce;
  readonly #scope: Scope;
  readonly #places: Places;
  /** Bytes to the next place. */
  #gap: number;

  constructor(scope: Scope, order: Extract<Rule, { do: 'flip' }>) {
    this.rule = scope.rule;
    this.#scope = scope;
    this.#places = scope.places(order);
    this.#gap = this.#places.gap();
  }

  take(span: Output): Output[] {
    if (!this.#scope.covers(span)) return [span];
    if (this.#gap >= span.bytes.length) {
      this.#gap -= span.bytes.length;
      return [span];
    }
    const bytes = Buffer.from(span.bytes);
    while (this.#gap < bytes.length) {
      const index = this.#gap;
      const bit = this.#places.bit();
      this.#gap += this.#places.gap();
      if (!this.rule.claim()) continue;
      bytes[index] = (bytes[index] ?? 0) ^ bit;
      this.#scope.bit({ ...span, at: span.at + index });
    }
    this.#gap -= bytes.length;
    return [{ ...span, bytes }];
  }

  flush(): Output[] {
    return [];
  }
}

/** One that is under way; `left` bytes of it have not come yet. */
interface Piece {
  readonly first: Output;
  readonly length: number;
  left: number;
  /** Its bytes, kept to be passed on once more, or later. */
  readonly kept: Output[];
  /** Swapped pieces: the first is complete, the one behind it passes. */
  overtaken: boolean;
}

class PieceStage implements Stage {
  readonly rule: RuleInForce;
  readonly #scope: Scope;
  readonly #order: Extract<Rule, { do: 'double' | 'drop' | 'swap' }>;
  readonly #places: Places;
  #gap: number;
  #piece: Piece | undefined;

  constructor(scope: Scope, order: Extract<Rule, { do: 'double' | 'drop' | 'swap' }>) {
    this.rule = scope.rule;
    this.#scope = scope;
    this.#order = order;
    this.#places = scope.places(order);
    this.#gap = this.#places.gap();
  }

  take(span: Output): Output[] {
    if (!this.#scope.covers(span)) return [span];
    const out: Output[] = [];
    let rest = span;
    while (rest.bytes.length > 0) {
      const piece = this.#piece;
      const length = piece === undefined ? this.#toNext(rest) : this.#ofPiece(piece, rest);
      let part: Output;
      [part, rest] = split(rest, length);
      if (piece === undefined) {
        this.#gap = Math.max(0, this.#gap - length);
        if (length > 0) out.push(part);
        if (rest.bytes.length > 0) this.#begin(rest);
      } else {
        out.push(...this.#go(piece, part));
      }
    }
    return out;
  }

  flush(): Output[] {
    const kept = this.#order.do === 'swap' ? (this.#piece?.kept ?? []) : [];
    this.#piece = undefined;
    return kept;
  }

  /** Bytes of this span to where the next piece begins; all of them when it is not in here. */
  #toNext({ bytes, message, from }: Output): number {
    if (this.#order.piece !== 'message') return Math.min(this.#gap, bytes.length);
    return from === 0 && message !== undefined && this.#gap === 0 ? 0 : bytes.length;
  }

  #ofPiece(piece: Piece, { bytes, message }: Output): number {
    // The message that overtakes is known when it begins.
    if (piece.left === 0)
      piece.left = this.#order.piece === 'message' ? (message?.length ?? 1) : piece.length;
    return Math.min(piece.left, bytes.length);
  }

  #begin(first: Output): void {
    if (!this.rule.claim()) {
      this.#gap = Infinity;
      return;
    }
    const { piece } = this.#order;
    const length = piece === 'message' ? (first.message?.length ?? 1) : piece;
    this.#piece = { first, length, left: length, kept: [], overtaken: false };
  }

  /** A part of the piece, or of the one that overtakes it. */
  #go(piece: Piece, part: Output): Output[] {
    piece.left -= part.bytes.length;
    const complete = piece.left === 0;
    switch (this.#order.do) {
      case 'drop':
        if (complete) this.#done(piece);
        return [];
      case 'double':
        piece.kept.push(part);
        if (!complete) return [part];
        this.#done(piece);
        return [part, ...piece.kept];
      case 'swap':
        if (!piece.overtaken) {
          piece.kept.push(part);
          piece.overtaken = complete;
          return [];
        }
        if (!complete) return [part];
        this.#done(piece);
        return [part, ...piece.kept];
    }
  }

  #done({ first }: Piece): void {
    this.#piece = undefined;
    this.#gap = this.#places.gap();
    this.#scope.bit(first);
  }
}

class CutStage implements Stage {
  readonly rule: RuleInForce;
  readonly #scope: Scope;
  readonly #order: Extract<Rule, { do: 'cut' }>;
  /** Messages of the kind still to begin. */
  #due: number;
  /** Bytes to the cut, once it is known. */
  #left: number | undefined;

  constructor(scope: Scope, order: Extract<Rule, { do: 'cut' }>) {
    this.rule = scope.rule;
    this.#scope = scope;
    this.#order = order;
    this.#due = order.nth ?? 1;
    if (order.messages === undefined) this.#left = order.bytes;
  }

  take(span: Output): (Output | Cut)[] {
    if (!this.#scope.covers(span)) return [span];
    const { bytes, by, messages } = this.#order;
    if (messages !== undefined && span.from === 0) {
      this.#due -= 1;
      if (this.#due === 0) this.#left = Math.min(bytes, span.message?.length ?? 0);
    }
    if (this.#left === undefined || this.#left > span.bytes.length) {
      if (this.#left !== undefined) this.#left -= span.bytes.length;
      return [span];
    }
    const [before, after] = split(span, this.#left);
    this.#left = undefined;
    if (!this.rule.claim()) return [span];
    this.#scope.bit(after);
    return [...(before.bytes.length > 0 ? [before] : []), { cut: by }];
  }

  flush(): Output[] {
    return [];
  }
}

class CrumbleStage implements Stage {
  readonly rule: RuleInForce;
  readonly #scope: Scope;
  readonly #bytes: number;

  constructor(scope: Scope, bytes: number) {
    this.rule = scope.rule;
    this.#scope = scope;
    this.#bytes = bytes;
  }

  take(span: Output): Output[] {
    if (!this.#scope.covers(span) || !this.rule.claim()) return [span];
    this.#scope.bit(span);
    const crumbs: Output[] = [];
    let rest = span;
    while (rest.bytes.length > 0) {
      let crumb: Output;
      [crumb, rest] = split(rest, this.#bytes);
      crumbs.push({ ...crumb, apart: true });
    }
    return crumbs;
  }

  flush(): Output[] {
    return [];
  }
}

class BlackHoleStage implements Stage {
  readonly rule: RuleInForce;
  readonly #scope: Scope;

  constructor(scope: Scope) {
    this.rule = scope.rule;
    this.#scope = scope;
  }

  take(span: Output): Output[] {
    if (!this.#scope.covers(span)) return [span];
    this.#scope.bit(span, span.bytes.length);
    return [];
  }

  flush(): Output[] {
    return [];
  }
}
