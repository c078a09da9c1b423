/** What cannot be, in words. */
export function RefusalPanel({ title, message }: { readonly title: string; readonly message: string }) {
  return (
    <section class="panel refusal" role="alert">
      <h2>{title}</h2>
      <p>{message}</p>
    </section>
  );
}
