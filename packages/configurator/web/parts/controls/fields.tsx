interface NumberFieldProps {
  readonly label: string;
  readonly unit: string;
  readonly value: number;
  readonly min: number;
  readonly onValue: (value: number) => void;
}

/** A number with its unit. */
export function NumberField({ label, unit, value, min, onValue }: NumberFieldProps) {
  return (
    <label class="field">
      <span>{label}</span>
      <span class="with-unit">
        <input
          type="number"
          min={min}
          value={value}
          aria-label={label}
          onInput={(event) => {
            const next = event.currentTarget.valueAsNumber;
            if (Number.isFinite(next)) onValue(next);
          }}
        />
        <em>{unit}</em>
      </span>
    </label>
  );
}

interface SegmentedProps<Name extends string> {
  readonly label: string;
  readonly names: Readonly<Record<Name, string>>;
  readonly value: Name;
  readonly onValue: (value: Name) => void;
}

/** A choice of two or three, all in sight. */
export function Segmented<Name extends string>({ label, names, value, onValue }: SegmentedProps<Name>) {
  return (
    <div class="segmented" role="radiogroup" aria-label={label}>
      {(Object.keys(names) as Name[]).map((name) => (
        <button
          key={name}
          type="button"
          role="radio"
          aria-checked={value === name}
          onClick={() => onValue(name)}
        >
          {names[name]}
        </button>
      ))}
    </div>
  );
}

interface PastedProps {
  readonly summary: string;
  readonly label: string;
  readonly placeholder: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
}

/** Text that replaces a choice from a list. */
export function Pasted({ summary, label, placeholder, value, onValue }: PastedProps) {
  return (
    <details open={value !== ""}>
      <summary>{summary}</summary>
      <textarea
        rows={4}
        placeholder={placeholder}
        aria-label={label}
        value={value}
        onChange={(event) => onValue(event.currentTarget.value)}
      />
    </details>
  );
}
