import XMLBuilder from 'fast-xml-builder';

const NAMESPACE = 'https://sts.amazonaws.com/doc/2011-06-15/';

const builder = new XMLBuilder({ ignoreAttributes: false, attributeNamePrefix: '@', format: true });

/** A document of STS: `body` inside the element `root`. Fields that are undefined are left out. */
export function toXml(root: string, body: object): string {
  return builder.build({ [root]: { '@xmlns': NAMESPACE, ...body } });
}
