import * as library from "@huggingface/jinja";

/** A node of a syntax tree: its `type` says which of the fields it has. */
export interface JinjaNode {
  readonly type: string;
  readonly value?: unknown;
  readonly object?: JinjaNode;
  readonly property?: JinjaNode;
  readonly computed?: boolean;
  readonly iterable?: JinjaNode;
  readonly operand?: JinjaNode;
  readonly filter?: JinjaNode;
}

/** A value while a template runs. `ArrayValue` holds a list of these, `ObjectValue` a map of them. */
export interface JinjaValue {
  readonly type: string;
  readonly value: unknown;
}

export interface JinjaScope {
  /** Turns a value of JavaScript into one of the template. */
  set(name: string, value: unknown): JinjaValue;
  lookupVariable(name: string): JinjaValue;
}

interface JinjaInterpreter {
  run(program: JinjaNode): JinjaValue;
  evaluate(node: JinjaNode | undefined, scope: JinjaScope): JinjaValue;
}

/** What is used of the library: its own declarations leave out file extensions, so under Node's resolution they say nothing. */
interface JinjaLibrary {
  readonly Environment: new () => JinjaScope;
  readonly Interpreter: new (scope: JinjaScope) => JinjaInterpreter;
  tokenize(
    source: string,
    options: { readonly lstrip_blocks: boolean; readonly trim_blocks: boolean },
  ): unknown;
  parse(tokens: unknown): JinjaNode;
}

const jinja = library as unknown as JinjaLibrary;

export const Environment: JinjaLibrary["Environment"] = jinja.Environment;
export const Interpreter: JinjaLibrary["Interpreter"] = jinja.Interpreter;
export const tokenize: JinjaLibrary["tokenize"] = jinja.tokenize;
export const parse: JinjaLibrary["parse"] = jinja.parse;

/** A value of JavaScript as a template has it. */
export const runtimeValue = (value: unknown): JinjaValue => new Environment().set("value", value);
