import {
  Environment,
  Interpreter,
  type JinjaNode,
  type JinjaScope,
  type JinjaValue,
  runtimeValue,
} from "./jinja-library.ts";
import { formatted, pythonText } from "./python-text.ts";
import { templateGlobals } from "./template-globals.ts";

const FunctionValue = runtimeValue(() => 0).constructor as new (
  call: (args: JinjaValue[], scope: JinjaScope) => JinjaValue,
) => JinjaValue;

/**
 * The library's interpreter with what chat templates use of Python beyond it: methods of lists (a queue of call ids),
 * `format`, `string`, `min` and `max`, integers as keys (Seed-OSS), and that what is undefined is an empty list.
 */
class PythonInterpreter extends Interpreter {
  /** Maps whose keys were written as integers. */
  readonly #integerKeyed = new WeakSet<JinjaValue>();

  override evaluate(node: JinjaNode | undefined, scope: JinjaScope): JinjaValue {
    switch (node?.type) {
      case "MemberExpression":
        return this.#member(node, scope);
      case "ObjectLiteral":
        return this.#objectLiteral(node, scope);
      case "FilterExpression":
        return this.#filter(node, scope) ?? super.evaluate(node, scope);
      case "For": {
        const over = node.iterable!;
        const isMissing =
          over.type === "Identifier" && scope.lookupVariable(String(over.value)).type === "UndefinedValue";
        return super.evaluate(
          isMissing ? { ...node, iterable: { type: "ArrayLiteral", value: [] } } : node,
          scope,
        );
      }
      default:
        return super.evaluate(node, scope);
    }
  }

  #member(node: JinjaNode, scope: JinjaScope): JinjaValue {
    const { object, property, computed } = node;
    if (computed === true) {
      if (property?.type !== "IntegerLiteral") return super.evaluate(node, scope);
      const owner = this.evaluate(object, scope);
      if (owner.type !== "ObjectValue") return super.evaluate(node, scope);
      return (owner.value as Map<string, JinjaValue>).get(String(property.value)) ?? runtimeValue(undefined);
    }
    const name = String(property?.value);
    if (!Object.hasOwn(listMethods, name) && name !== "format") return super.evaluate(node, scope);
    const owner = this.evaluate(object, scope);
    if (owner.type === "ArrayValue" && Object.hasOwn(listMethods, name)) {
      const method = listMethods[name as keyof typeof listMethods];
      return new FunctionValue((args) => method(owner.value as JinjaValue[], args) ?? runtimeValue(null));
    }
    if (owner.type === "StringValue" && name === "format")
      return new FunctionValue((args) => runtimeValue(formatted(String(owner.value), args)));
    return super.evaluate(node, scope);
  }

  /** Integers are keys by their digits, and integers again where a template loops over them. */
  #objectLiteral(node: JinjaNode, scope: JinjaScope): JinjaValue {
    const entries = [...(node.value as Map<JinjaNode, JinjaNode>)];
    if (entries.length === 0 || entries.some(([key]) => key.type !== "IntegerLiteral"))
      return super.evaluate(node, scope);
    const keyed = entries.map(
      ([key, of]) => [{ type: "StringLiteral", value: String(key.value) }, of] as const,
    );
    const made = super.evaluate({ ...node, value: new Map(keyed) }, scope);
    this.#integerKeyed.add(made);
    return made;
  }

  #filter({ operand, filter }: JinjaNode, scope: JinjaScope): JinjaValue | undefined {
    const name = String(filter?.value);
    if (filter?.type !== "Identifier" || !ownFilters.has(name)) return undefined;
    const value = this.evaluate(operand, scope);
    if (name === "length") return value.type === "UndefinedValue" ? runtimeValue(0) : undefined;
    if (name === "string") {
      const isNested = value.type === "ObjectValue" || value.type === "ArrayValue";
      return isNested ? runtimeValue(pythonText(value)) : undefined;
    }
    if (name === "items" || name === "dictsort") {
      if (!this.#integerKeyed.has(value)) return undefined;
      const entries = [...(value.value as Map<string, JinjaValue>)].map(
        ([key, of]) => [Number(key), of.value] as const,
      );
      return runtimeValue(name === "items" ? entries : entries.sort(([a], [b]) => a - b));
    }
    if (value.type !== "ArrayValue") return undefined;
    const items = value.value as JinjaValue[];
    return items.reduce<JinjaValue>(
      (best, item) => ((item.value as number) < (best.value as number) === (name === "min") ? item : best),
      items[0] ?? runtimeValue(undefined),
    );
  }
}

/** Filters that mean more here than in the library. */
const ownFilters: ReadonlySet<string> = new Set(["dictsort", "items", "length", "max", "min", "string"]);

const listMethods = {
  append: (list: JinjaValue[], [item]: JinjaValue[]) => void list.push(item!),
  extend: (list: JinjaValue[], [items]: JinjaValue[]) => void list.push(...(items!.value as JinjaValue[])),
  insert: (list: JinjaValue[], [at, item]: JinjaValue[]) => void list.splice(at!.value as number, 0, item!),
  pop(list: JinjaValue[], [at]: JinjaValue[]): JinjaValue {
    const [item] = list.splice((at?.value as number | undefined) ?? -1, 1);
    if (item === undefined) throw new Error("pop from an empty list");
    return item;
  },
  index: (list: JinjaValue[], [item]: JinjaValue[]) =>
    runtimeValue(list.findIndex(({ value }) => value === item?.value)),
  count: (list: JinjaValue[], [item]: JinjaValue[]) =>
    runtimeValue(list.filter(({ value }) => value === item?.value).length),
};

/** Runs a parsed template with these variables. */
export function renderTemplate(program: JinjaNode, variables: Readonly<Record<string, unknown>>): string {
  const environment = new Environment();
  for (const [name, value] of Object.entries({ ...templateGlobals, ...variables }))
    environment.set(name, value);
  return String(new PythonInterpreter(environment).run(program).value);
}
