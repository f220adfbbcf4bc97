/** The parts of node-netflowv9 0.2.16 that are used; the package has no types of its own. */

declare module 'node-netflowv9/js/nf9/nf9decode.js' {
  interface CompileRules {
    readonly [length: number]: string;
  }
  interface FieldType {
    readonly name: string;
    readonly compileRule?: CompileRules;
  }
  type FieldTypes = Record<number, FieldType>;
  interface LibraryTemplate {
    readonly len: number;
    /** Data templates only. */
    readonly list?: readonly { readonly type: number; readonly len: number }[];
    readonly compiled: unknown;
  }
  type TemplateTable = Record<number, LibraryTemplate>;
  interface Exporter {
    readonly address: string;
    readonly port: number;
  }
  interface Context {
    readonly nfTypes: FieldTypes;
    readonly nfScope: FieldTypes;
    nfInfoTemplates(exporter: Exporter): TemplateTable;
  }
  interface Decoded {
    readonly flows: readonly Readonly<Record<string, unknown>>[];
  }
  const nf9PktDecode: (this: Context, message: Buffer, exporter: Exporter) => Decoded;

  export type {
    CompileRules,
    Context,
    Decoded,
    Exporter,
    FieldType,
    FieldTypes,
    LibraryTemplate,
    TemplateTable,
  };
  export default nf9PktDecode;
}

declare module 'node-netflowv9/js/nf9/nftypes.js' {
  import type { FieldTypes } from 'node-netflowv9/js/nf9/nf9decode.js';

  const tables: { readonly nfTypes: FieldTypes; readonly nfScope: FieldTypes };
  export default tables;
}
